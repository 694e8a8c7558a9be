/*
 * issuers.c
 *		Issuers as they are in memory: opened once, and anew when a row has changed.
 *
 * Public keys are kept parsed.  Symmetric ones stay in locked memory as they were sealed,
 * and are parsed for each signature: who has one can make tokens.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/settings.h"
#include "vault/roots/records.h"
#include "vault/tokens/issuer_document.h"
#include "vault/tokens/issuers.h"

#define KEPT_MAX 8

struct KvTrusted
{
	MemoryContext context;		/* holds this */
	char	   *name;			/* UTF-8 */
	uint8	   *document;		/* what issuer points into, in locked memory */
	Size		document_len;
	KvIssuer	issuer;
	KvKeySet   *keys;			/* NULL: symmetric */
};

static KvTrusted *kept[KEPT_MAX];
static int	next_to_go = 0;
static uint64 kept_changes = 0; /* of the rows, and */
static uint64 kept_generation = 0;	/* of the keyring's settings, when they were read */

static void
release(KvTrusted *trusted)
{
	kv_key_set_free(trusted->keys);
	if (trusted->document != NULL)
		kv_record_close(trusted->document, trusted->document_len);
	MemoryContextDelete(trusted->context);
}

static void
forget_kept(void)
{
	for (int i = 0; i < KEPT_MAX; i++)
	{
		if (kept[i] != NULL)
			release(kept[i]);
		kept[i] = NULL;
	}
}

uint64
kv_issuers_changes(void)
{
	return kv_record_rows_changes() + kv_settings_keyring_generation();
}

static bool
has_symmetric_keys(const KvKeySet *keys)
{
	return kv_key_set_count(keys) > 0 && kv_key_set_info(keys, 0).symmetric;
}

pg_noreturn static void
report_not_readable(const char *why)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_SEALED),
			 errmsg("an issuer's record is none that this version can read"),
			 errdetail("Reason: %s.", why),
			 errhint("Make it anew with key_vault.trust_issuer().")));
}

static KvKeySet *
parse_keys(const KvIssuer *issuer)
{
	KvKeySet   *keys;
	size_t		number;
	KvKeySetFault fault = kv_key_set_parse(issuer->jwks, issuer->jwks_len, &keys, &number);

	if (fault == KV_KEYS_NO_MEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (fault != KV_KEYS_OK)
		report_not_readable(kv_key_set_fault_text(fault));
	return keys;
}

/* Fills in what the row says; what is allocated is the trusted one's own to release. */
static void
open_row(KvTrusted *trusted, const KvRecordRow *row)
{
	trusted->document = kv_record_open(row, &trusted->document_len);
	if (!kv_issuer_from_document(trusted->document, trusted->document_len, &trusted->issuer))
		report_not_readable(kv_status_text(KV_MALFORMED));
	trusted->keys = parse_keys(&trusted->issuer);
	if (has_symmetric_keys(trusted->keys))
	{
		kv_key_set_free(trusted->keys);
		trusted->keys = NULL;
	}
}

static KvTrusted *
open_issuer(const KvRecordRow *row)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "key_vault issuer",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	KvTrusted  *trusted = palloc0(sizeof(KvTrusted));

	trusted->context = context;
	PG_TRY();
	{
		open_row(trusted, row);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		release(trusted);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return trusted;
}

static const KvTrusted *
find_kept(const char *name, Size len)
{
	for (int i = 0; i < KEPT_MAX; i++)
	{
		if (kept[i] != NULL && strlen(kept[i]->name) == len &&
			memcmp(kept[i]->name, name, len) == 0)
			return kept[i];
	}
	return NULL;
}

static void
keep(KvTrusted *trusted)
{
	if (kept[next_to_go] != NULL)
		release(kept[next_to_go]);
	kept[next_to_go] = trusted;
	next_to_go = (next_to_go + 1) % KEPT_MAX;
}

/* The row of an issuer by its UTF-8 name; false for a name that no row can have. */
static bool
find_row(const char *name, Size len, KvRecordRow *row)
{
	int			converted_len;
	const char *converted = kv_try_from_utf8(name, (int) len, &converted_len);

	return converted != NULL &&
		kv_record_row_find(KV_RECORD_ISSUER, pnstrdup(converted, converted_len), row);
}

const KvTrusted *
kv_issuer_find(const char *name, Size len)
{
	uint64		changes = kv_record_rows_changes();
	uint64		generation = kv_settings_keyring_generation();
	const KvTrusted *known;
	KvTrusted  *trusted;
	KvRecordRow row;

	if (changes != kept_changes || generation != kept_generation)
		forget_kept();
	known = find_kept(name, len);
	if (known != NULL)
		return known;
	if (!find_row(name, len, &row))
		return NULL;

	trusted = open_issuer(&row);
	trusted->name = MemoryContextStrdup(trusted->context, pnstrdup(name, len));
	/* as of before the row was read: a change meanwhile is not lost */
	if (changes != kept_changes || generation != kept_generation)
		forget_kept();
	kept_changes = changes;
	kept_generation = generation;
	keep(trusted);
	return trusted;
}

const KvTokenRules *
kv_issuer_rules(const KvTrusted *issuer)
{
	return &issuer->issuer.rules;
}

KvTokenFault
kv_issuer_verify(const KvTrusted *issuer, KvToken *token)
{
	KvKeySet   *keys = issuer->keys;
	KvTokenFault fault;

	if (keys == NULL)
		keys = parse_keys(&issuer->issuer);
	fault = kv_token_verify(token, keys);
	if (keys != issuer->keys)
		kv_key_set_free(keys);
	return fault;
}
