-- pgcrypto is looked for when it is needed: as a member of the extension of that name, in
-- whatever schema it is.  Who drops it takes nothing else along.
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pgcrypto;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key() IS NOT NULL AS ready;
SELECT key_vault.set('user_a', 'exa', repeat('k', 20));
SELECT refclassid::regclass, count(*) FROM pg_depend
WHERE (classid, objid) = ('pg_extension'::regclass, (SELECT oid FROM pg_extension WHERE extname = 'key_vault')) GROUP BY 1;
CREATE ROLE regress_kv_stranger;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_kv_stranger', current_database()); END $$;
-- made for this test alone
SELECT $$
-----BEGIN PGP PUBLIC KEY BLOCK-----

mQENBGsC7oUBCAC+A2MZbRCLuAgBK9A03i6ILKw7c3D9RcLyxjaJdIDnS7UWLKVg
5PmIWDMvaMJIydPb8JFYnhwCoj8lMgnxCLzCGcu0gxKb8xLfg9SP3ahhpJ/COj92
hHZJ4Px9SuGDGhDZE8CUygM/NTybTj5/TBXyvZ3XDFunpOSUE30rcv+smdg5ttuA
G+G2RivmRtd5DPYp4ZeFrHFBqtmc63ITmkERjRSspiq1FvxuIq/azMmq2K6Hio3J
f34bGScma1aCjal6LkquSh/SNj4lwSSNcMoVIOSFgWSUf+HVjRvgKwekUOADp4x8
0ARs9zHB/Ob2pxMh2ZJvVd3vQ1qhUlyFheK/ABEBAAG0A3JzYYkBTgQTAQoAOBYh
BLAA+INanxyUwBoqHTh95hVH3IOuBQJrAu6FAhsDBQsJCAcCBhUKCQgLAgQWAgMB
Ah4BAheAAAoJEDh95hVH3IOudbAH/2sNqGDZPhA9NiZsMe+LXspwK6b1/GeQKT+W
7jtFJ0lcDSFz4wEnveQIW0tX/LV2tO0E3JKxlXI+/3jdvybrGKbS2pqfQjY3gaoV
5acju1xti0dALxxVFPjtJg8md/CdCZLiaFT0TOyXFsAwq7UlKlD6RNbBmta8u9Jn
k7OhYrS70kv4mropbMiuTCb3rFZOkvtpaGLkDP4LUBUVLsHR+Sh+7prCV9+tASJ4
CQO0J/z0mk3cKP7agPuMXx0FJs0PftRtfaP8IYI1YnxZRMNHrJIgS6KHM6ieKX11
3XuyVgJ/lh3QXfE6od49Sbo6JoDuCfEwDXwtzqohXPoC/rpD3lK5AQ0EawLuhgEI
AKEhMgs8LhLFR7qk24kJWgwa6BKujE9ROq6npsZIA+jqosBAr5HjvprTznYB+16P
h8pRQDVUx5RUEFOwWW+QEshoULIe5pSg7CfVkVLso/Pyo9DCUdfOb7sqpITf2t9e
gU/8h43l8XwlOjcN6p0SfBkhr5lLkC2a3pcLJ0u0Al4jPPcE6sJd6rm1eT+sNCBr
KDCk7QmiWTYgKx+7eNxSbbzMMhhiU/b/stUw3Wo2waSfDwL54V2zIGQw4x0wvfTo
uM6VtpS0HlzyE105DdQ1gVZ7jYa9gK0wakkyElY4CdpjbQL7usDaHMv/kBPRhuDO
2YDrmlqTLd0ZO2CQ2+Mn+ikAEQEAAYkBNgQYAQoAIBYhBLAA+INanxyUwBoqHTh9
5hVH3IOuBQJrAu6GAhsMAAoJEDh95hVH3IOuZOcIAI1vBC34+LbG9cCnfWG5bpYE
1B7fhRF+uKGNur6IrwQUvtCDiDclTtm/0eiQrNzY2+Hb258Log09M7DvzG64aW0Q
quKPlxomaL3tAyEqnqTsFBQ7XxxYCYj4dDIQ5xrru8iDpsTih6CpGiCEgHvE6Q+o
uUKCfNLKtqLfwDx2bG/V0bGyL4JdpLED1hpw5x9J86FcmnLYroEifKABfp4WMHlR
OF9H4O/qqALWrxQJec8A5c3/alebj3ppUWpbnUWwuIDMNjylpjOGPf4N3dYF0JbL
EVvtIVVBfOBj2DG7oVmek4SuTzcEx7HGdXetnsIo5MpIxhDjdprEP5GB664GTfQ=
=S/C2
-----END PGP PUBLIC KEY BLOCK-----
$$ AS public_key \gset

-- it is not there, and functions of its names are not taken for it, first in the path or not
SET ROLE regress_kv_stranger;
CREATE SCHEMA regress_kv_trap;
CREATE FUNCTION regress_kv_trap.pgp_pub_encrypt_bytea(bytea, bytea, text) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'sprung'; RETURN $1; END $$;
CREATE FUNCTION regress_kv_trap.pgp_sym_decrypt(bytea, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'sprung'; RETURN $2; END $$;
CREATE FUNCTION regress_kv_trap.armor(bytea) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'sprung'; RETURN encode($1, 'escape'); END $$;
CREATE FUNCTION regress_kv_trap.dearmor(text) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'sprung'; RETURN $1::bytea; END $$;
RESET ROLE;
SET search_path = regress_kv_trap, public;
\set VERBOSITY default
SELECT key_vault.escrow_keyring(:'public_key');
SELECT key_vault.import_keys($$ SELECT 'user_b', 'exa', '\x00'::bytea $$, 'passphrase');
\set VERBOSITY sqlstate
SELECT key_vault.escrow_keyring(:'public_key');
SELECT key_vault.import_keys($$ SELECT 'user_b', 'exa', '\x00'::bytea $$, 'passphrase');
-- a key that is not encrypted does not need it
SELECT * FROM key_vault.import_keys($$ SELECT 'user_b', 'exa', repeat('k', 20) $$);

-- a stranger installs it, as whoever may create in the database can, and adds functions of
-- the same names to it: those are not called
SET ROLE regress_kv_stranger;
CREATE SCHEMA regress_kv_pgcrypto;
CREATE EXTENSION pgcrypto SCHEMA regress_kv_pgcrypto;
ALTER EXTENSION pgcrypto ADD FUNCTION regress_kv_trap.pgp_pub_encrypt_bytea(bytea, bytea, text);
ALTER EXTENSION pgcrypto ADD FUNCTION regress_kv_trap.pgp_sym_decrypt(bytea, text);
ALTER EXTENSION pgcrypto ADD FUNCTION regress_kv_trap.armor(bytea);
ALTER EXTENSION pgcrypto ADD FUNCTION regress_kv_trap.dearmor(text);
CREATE FUNCTION regress_kv_trap.mine(bytea) RETURNS text LANGUAGE c AS '$libdir/pgcrypto', 'pg_armor';
ALTER EXTENSION pgcrypto DROP FUNCTION regress_kv_pgcrypto.armor(bytea);
RESET ROLE;
CREATE TABLE public.encrypted AS SELECT 'user_c' AS user_id, 'exa' AS provider, regress_kv_pgcrypto.pgp_sym_encrypt(repeat('l', 20), 'passphrase') AS key;
SELECT left(key_vault.escrow_keyring(:'public_key'), 27) AS message;
SELECT * FROM key_vault.import_keys('TABLE public.encrypted', 'passphrase');
SELECT key_vault.get('user_c', 'exa') = repeat('l', 20) AS same;
-- not when they are all that is left, either
ALTER EXTENSION pgcrypto DROP FUNCTION regress_kv_pgcrypto.armor(bytea);
\set VERBOSITY default
SELECT key_vault.escrow_keyring(:'public_key');
\set VERBOSITY sqlstate
SELECT key_vault.escrow_keyring(:'public_key');
ALTER EXTENSION pgcrypto ADD FUNCTION regress_kv_pgcrypto.armor(bytea);
-- found where a DBA moved one of them
ALTER FUNCTION regress_kv_pgcrypto.dearmor(text) SET SCHEMA public;
SELECT left(key_vault.escrow_keyring(:'public_key'), 27) AS message;
ALTER FUNCTION public.dearmor(text) SET SCHEMA regress_kv_pgcrypto;

-- whoever owns its schema drops that, and the vault stays
SET ROLE regress_kv_stranger;
DROP SCHEMA regress_kv_pgcrypto CASCADE;
RESET ROLE;
RESET search_path;
SELECT extname FROM pg_extension WHERE extname IN ('key_vault', 'pgcrypto');
SELECT key_vault.get('user_a', 'exa') = repeat('k', 20) AS a, key_vault.get('user_c', 'exa') = repeat('l', 20) AS c;
SELECT key_vault.escrow_keyring(:'public_key');

DROP TABLE encrypted;
SET client_min_messages = error;
DROP SCHEMA regress_kv_trap CASCADE;
DROP EXTENSION key_vault;
DROP OWNED BY regress_kv_stranger;
DROP ROLE regress_kv_stranger;
