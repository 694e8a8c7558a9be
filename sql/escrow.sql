-- escrow_keyring(): for superusers, to a public key that pgcrypto can use.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE ROLE regress_kv_admin;
SELECT key_vault.grant_access('regress_kv_admin', 'admin');
SELECT key_vault.create_root_key() IS NOT NULL AS ready;

-- made for this test alone: RSA that only signs, RSA and ElGamal subkeys for encryption, an elliptic curve
CREATE TABLE public_keys (name text, armored text);
INSERT INTO public_keys VALUES ('sign_only', $$
-----BEGIN PGP PUBLIC KEY BLOCK-----

mQENBGsC7oUBCAC3eLrV/Ie0j6QHHWN+/GR34lOi5nn4E76uLvuFwLkPjHCo7R1f
JOGyvttDMI7wOIuezm90cnz17PS/1SkVGfKAbnoBGVfxCHGUYJuRvzWsvpzrNp5e
uG0Pqa8N6PcX9WxTIbfn8ZesLLPbiS7fJXGMKMOXtQh2vgfpQH4Ze5Imd5lSZjqp
2E7p0UyWTT5u8156wIzNJt0kckBO/1TamdglI03n8b6V8RW9kHskT/7ho96xk5ZJ
fVLnKUbX8ovEt1maWpYAEsoYgkU9VXl2zzYFmqAIJIYSmSI/XTIFtwtm81WuPPQT
f+K9qDQBwmTwfRiNQyRXTuBrqH6bWxdctMShABEBAAG0CXNpZ24gb25seYkBTgQT
AQoAOBYhBLBwl1B962t7JgFgafyTbrLxv3NmBQJrAu6FAhsDBQsJCAcCBhUKCQgL
AgQWAgMBAh4BAheAAAoJEPyTbrLxv3NmxM0H/icSMgujja2CErPanOB808Vz9nBb
/WQliV5Nz35RKn0AxrVpwRTKDqR0c20LT7gjFTbk70p6VADRZd+83EJva2V3tQvS
UORX/nRyiydLy7MI1qWHIGPFOrOp/NBNuOMk//0GeGfolRlSt2pc8+D7HrymoDed
ATfKJMGWFiOD0hVSSGiNHiS2YUeUkcdEoMTcfLwKH9lzgiKj1IN35rVIfj7q0nyK
VC5Weh8MlYnbvYK/8WtaEMlhS6W4szAZUcOBoUOmdxl/ppnh4x/AoW8W4BYvaprm
YRgQk/2J/tSqSP1+jq99N8tOaf5XkVuhSM78smIGQXIO7Mqgbatxz18URyg=
=A64G
-----END PGP PUBLIC KEY BLOCK-----
$$);
INSERT INTO public_keys VALUES ('rsa', $$
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
$$);
INSERT INTO public_keys VALUES ('elgamal', $$
-----BEGIN PGP PUBLIC KEY BLOCK-----

mQENBGsC7oYBCADDulTqsjAC0ItHKGaHeBcuqAu7QuYe+p6bHYu+AVDMYC56Upqf
lxIpd5RWXny/qytboAReeec2tgsB7q3DjYsYV2vzWFod+21GK0xsdAs86CRnkX8M
SUqGriHThjjOhhHL5hWkf2hScI8RO7ijLLTrtFVt97PsF5GBIWYjXmYw+Nf+r43O
3jRVhYADnO02S0UJ7Ed7dA2eXhFlh2avSsY2Sp7Bg6tXTUS4jAxVTE6T4YzZefhi
hel1P4bu4ffYPNNUp7kHn52HuFWWFLUNkLBjzk5RhVX5FCkHnm8IqlHWdLsQ85NM
LXvBz3xKFWM5wy1GxbY1afnxegxngl6CwRBxABEBAAG0B2VsZ2FtYWyJAU4EEwEK
ADgWIQRYu1nU5us76uDQ/gmOyzy1sGvRZgUCawLuhgIbAwULCQgHAgYVCgkICwIE
FgIDAQIeAQIXgAAKCRCOyzy1sGvRZtMtB/9F36N61Eb6ryqBGQ9prOrPFxxEywvY
q8fX6EWaImLbDI4KPFwXJutyam4709/hcZhaFnmZG7+rnDUxWmGYcEXhZkARVyO2
NBafVGG+o6/ZVcKh4KkAOawd/VOpg8g8rXfROXAk/Z2qYk6cfiov2SuilQuvV5kF
6fWuP5UVTXjuf+GflXazXJcsqbXK6h1XjEQ9+S45bAwBMuBj2hF7PwvaFgHzxELY
HstmiEI6cMSgbqLV0Zr188+2EQmw2srZUDhy75dedLKnjpQCcWrV6zgdYiZb2/ol
jv5HnoJSfMOCA8pYIVPpdiXghJm2r2XGsAJ+vExIXZajiDFMwzdEaiLauQINBGsC
7oYQCADySO9vO0NNxJcd0083MVIjHVzaS22z3X5/qVaHmH5uw25E6UTy1jzq/O1M
bnL2kis5aEo9CuHPyhylO73nMx+qZ0p1zC4jDucNJTf2rqhrZJr2m4H8Xo5pOJQd
69nksmWlU+Pk4MJuk/06DlupztEg9EV2A7iU3wpX5NE6+itPB2P4NG+Cf7/KFY4o
GPBjoWg/s86QZuyvGz4jInL5FSBTzfSDyPBsak7NzHnlrhGKP4tgu4VumJkh3vNb
Yr3Jx/D92hlXjN8Ob0ciFasWUCOFrCH+lQSpKOo+ZUku31NoSsn5hO6ZR42zzqmu
2bQfa0Ku4lf2qea+97Im6f1iA+tTAAMFB/445DmpKenoLC4N3p2K0zZFlCyA0PkI
+b61GC8uLYxcV8uoXF7W1g75+YhegypG2kqDPkgqW4u+tbFIO/cRkzj3fuHvrbSV
fLSpxnJPCWk3vCrQUfQLMA/bTz4ca/JLIbOTUUF3sdGZp8RML9kEs29N1gndISkY
VeNmhJ/LBBwrHohUnE781vPG/6bKydWHo78DoC5qPQu6YlI764KmwQC0pKnhWXsY
mVNpkDKwDp+vV1SHfhRRl5LQdXTkVZb8eY0xCXiYnfVP9PzdhsYpoebvg/CIprt6
VlP47OCn7n3Diu+m4PsHIxKYOw1sWR+8tdcgoAvtR97O1Fi8JokViJBuiQE2BBgB
CgAgFiEEWLtZ1ObrO+rg0P4Jjss8tbBr0WYFAmsC7oYCGwwACgkQjss8tbBr0Wb0
kQf/SE942UeldiHm1XHL7W2AiaHn6NWbR9ToQzdiR85TKP3UtKsL0bMtsD7Rxno2
/m1iGFPi4AVSHocgy0pbeOQJsm3gOsnvgn7p6OCFhpoGNSpxBR2k7Tkw9jPgRnto
xucNq9BdZMhrlFd5/d7QyreTtyzFLApbrg9rLof7tgebJ8HVOSaDZ41IACNQYt38
85oFB5smBJA4HGnTbo1zrk3VwtKmqHfzNLNihBp/fP/BlN4WTQjX28QUYcwzchH+
jWbtNcKGflh2dK1Ct6A6SrwNptAEqeJHmcBCLjL+aFue5+kqn1c8e8JazZTtiV9n
K9DvCHmrVPaUjnTgE+HNwkggEg==
=yE8g
-----END PGP PUBLIC KEY BLOCK-----
$$);
INSERT INTO public_keys VALUES ('curve', $$
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawLuhhYJKwYBBAHaRw8BAQdAbHMqm6h35MHTNCMkojJxrGuwuEZMGbmqLDwK
izpNPTe0BWN1cnZliJAEExYIADgWIQRxCuJ/Pcy5iSIcHcdCB5R77/R8LAUCawLu
hgIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRBCB5R77/R8LMuNAQDwjez+
17cieCKMgwhp7TTQZr3USP6eTH6Sahc1xhIJzgD/WxsKJtMaPCC46Hqw3y54DNRq
9egY4OMe9s7DmSkMbQi4OARrAu6GEgorBgEEAZdVAQUBAQdA/lhmd/k4jtrG2xrz
miAsvSgb/7zZJkiZKqo/Vb+hVSgDAQgHiHgEGBYIACAWIQRxCuJ/Pcy5iSIcHcdC
B5R77/R8LAUCawLuhgIbDAAKCRBCB5R77/R8LIxqAQCDLp9mgTZLTaGG8ZR6bxgE
OFrdIL6KegfTbVJ2p2nwMwD+KaFB5fKLZGVt4WGxBnCJ7xtoxXPYH9iAcGiLtooU
dwg=
=ZhT9
-----END PGP PUBLIC KEY BLOCK-----
$$);

SELECT name, left(key_vault.escrow_keyring(armored), 27) AS message, armored <> key_vault.escrow_keyring(armored) AS is_another
FROM public_keys WHERE name IN ('rsa', 'elgamal') ORDER BY 1;
-- each time anew, and longer than what is in it
SELECT key_vault.escrow_keyring(armored) <> key_vault.escrow_keyring(armored) AS fresh FROM public_keys WHERE name = 'rsa';
-- the key is in there as it was given: the message names the key that opens it, which is the subkey
SELECT pgp_key_id(dearmor(armored)) = pgp_key_id(dearmor(key_vault.escrow_keyring(armored))) AS same
FROM public_keys WHERE name IN ('rsa', 'elgamal') ORDER BY name;

-- keys that will not do say why
\set VERBOSITY default
SELECT key_vault.escrow_keyring(armored) FROM public_keys WHERE name = 'sign_only';
\set VERBOSITY sqlstate
SELECT key_vault.escrow_keyring(armored) FROM public_keys WHERE name = 'curve';
SELECT key_vault.escrow_keyring('nothing of the kind');
SELECT key_vault.escrow_keyring('');
SELECT key_vault.escrow_keyring(replace(armored, 'PUBLIC', 'PRIVATE')) FROM public_keys WHERE name = 'curve';
SELECT key_vault.escrow_keyring(key_vault.escrow_keyring(armored)) FROM public_keys WHERE name = 'rsa';
SELECT key_vault.escrow_keyring(NULL);

-- superusers only, even when somebody was granted the function
SET ROLE regress_kv_admin;
SELECT key_vault.escrow_keyring('x');
RESET ROLE;
GRANT EXECUTE ON FUNCTION key_vault.escrow_keyring TO regress_kv_admin;
GRANT SELECT ON public_keys TO regress_kv_admin;
SET ROLE regress_kv_admin;
\set VERBOSITY default
SELECT key_vault.escrow_keyring(armored) FROM public_keys WHERE name = 'rsa';
\set VERBOSITY sqlstate
RESET ROLE;

-- a database that uses a root key which the keyring does not hold: a copy, and a warning
INSERT INTO key_vault_data.root_key_registry (id, created_at) VALUES ('0123456789abcdef', now());
\set VERBOSITY terse
SELECT left(key_vault.escrow_keyring(armored), 27) AS message FROM public_keys WHERE name = 'rsa';
\set VERBOSITY sqlstate

DROP EXTENSION key_vault, pgcrypto;

DROP TABLE public_keys;
DROP ROLE regress_kv_admin;
