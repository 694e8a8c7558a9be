/*
 * escrow.c
 *		Encrypts the keyring to somebody's OpenPGP key.
 *
 * The keyring is in locked memory up to the call of pgcrypto, which wipes its own
 * buffers.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/locked_memory.h"
#include "store/pgcrypto.h"
#include "store/root_key_rows.h"
#include "vault/roots/escrow.h"
#include "vault/roots/keyring.h"
#include "vault/roots/keyring_source.h"

/* Says what pgcrypto said of the key, and what key will do. */
pg_noreturn static void
report_bad_key(const char *problem)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("pgcrypto cannot encrypt to this public key"),
			 errdetail("Reason: %s.", problem),
			 errhint("Pass an armored OpenPGP public key (gpg --armor --export) with an RSA or ElGamal subkey for encryption; one on an elliptic curve will not do.")));
}

/*
 * Calls pgcrypto; what it says of a key becomes our error.  An error passes on
 * unchanged when it is about something else, such as memory, or a cancelled query.
 */
static bytea *
call_for_key(bytea *(*call) (bytea *argument, bytea *public_key),
			 bytea *argument, bytea *public_key)
{
	MemoryContext caller = CurrentMemoryContext;
	bytea	   *volatile result = NULL;
	ErrorData  *error;

	PG_TRY();
	{
		result = call(argument, public_key);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION &&
			geterrcode() != ERRCODE_EXTERNAL_ROUTINE_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		report_bad_key(error->message);
	}
	PG_END_TRY();
	return result;
}

static bytea *
dearmor(bytea *armored, bytea *unused)
{
	return kv_pgp_dearmor((text *) armored);
}

/* A copy that cannot open everything is better than none, but has to be known. */
static void
warn_of_missing_keys(const KvRing *ring)
{
	int			count;
	KvRootKeyRow *rows = kv_root_key_rows_read(&count);

	for (int i = 0; i < count; i++)
	{
		char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];

		if (rows[i].is_retired || kv_ring_find(ring, rows[i].id) != NULL)
			continue;
		kv_root_key_id_to_hex(rows[i].id, hex);
		ereport(WARNING,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("root key %s is not in the keyring", hex),
				 errdetail("This database uses it. The copy does not hold it either."),
				 errhint("%s Then make another copy.", kv_keyring_missing_key_hint())));
	}
	pfree(rows);
}

/* What is kept is a keyring, not anything else that the setting names. */
static void
check_text(const char *keyring, Size len)
{
	char	   *source = kv_keyring_source();
	KvRing		ring = kv_ring_parse(keyring, len, source);

	PG_TRY();
	{
		if (ring.count == 0)
			ereport(ERROR,
					(errcode(KV_ERRCODE_KEYRING),
					 errmsg("the keyring holds no root key"),
					 errdetail("%s", kv_keyring_source_detail(source))));
		warn_of_missing_keys(&ring);
	}
	PG_FINALLY();
	{
		kv_ring_free(&ring);
	}
	PG_END_TRY();
}

/* The keyring as a bytea in locked memory. */
static bytea *
read_keyring(Size *allocated)
{
	Size		len;
	Size		text_allocated;
	char	   *keyring = kv_keyring_read_text(&len, &text_allocated);
	bytea	   *volatile result = NULL;

	PG_TRY();
	{
		check_text(keyring, len);
		*allocated = VARHDRSZ + len;
		result = kv_locked_alloc(*allocated);
		SET_VARSIZE(result, VARHDRSZ + len);
		memcpy(VARDATA(result), keyring, len);
	}
	PG_FINALLY();
	{
		kv_locked_free(keyring, text_allocated);
	}
	PG_END_TRY();
	return result;
}

text *
kv_escrow_keyring(text *public_key)
{
	bytea	   *key;
	bytea	   *keyring;
	bytea	   *volatile message = NULL;
	Size		allocated;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to copy the keyring")));

	key = call_for_key(dearmor, (bytea *) public_key, NULL);
	keyring = read_keyring(&allocated);
	PG_TRY();
	{
		message = call_for_key(kv_pgp_pub_encrypt, keyring, key);
	}
	PG_FINALLY();
	{
		kv_locked_free(keyring, allocated);
	}
	PG_END_TRY();
	return kv_pgp_armor(message);
}
