/*
 * key_checks.c
 *		Looks at a key before it is stored.
 *
 * Who reads the messages has an application to mend, or shows them to a user: they
 * say what is wrong and where, and never what stands there.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"

#include "format/ciphertext.h"
#include "format/key_doubts.h"
#include "format/key_looks.h"
#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/redaction/redaction.h"
#include "server/settings.h"
#include "vault/providers/providers.h"
#include "vault/roots/sealing.h"
#include "vault/secrets/key_checks.h"

/* A key of fewer bytes, beside a label that is longer, may be the label. */
#define SHORT_KEY 16

#define BIND_HINT "Bind the key as a parameter on the server. Drivers that put parameters into the text themselves, such as psycopg2, cannot; psycopg 3, asyncpg, JDBC and node-postgres do."

/* A key as the pure C reads it; wiped when it is not the key's own text. */
typedef struct Utf8Key
{
	const char *data;
	int			len;
	bool		is_copy;
} Utf8Key;

static Utf8Key
utf8_key(const text *api_key)
{
	Utf8Key		key;

	key.data = kv_to_utf8(VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key), &key.len);
	key.is_copy = key.data != VARDATA_ANY(api_key);
	return key;
}

static void
wipe(Utf8Key *key)
{
	if (key->is_copy)
		explicit_bzero(unconstify(char *, key->data), key->len);
}

static bool
looks_like_key(const text *value)
{
	int			count;
	const KvKeyPrefix *prefixes = kv_provider_prefixes(&count);
	size_t		start;
	size_t		len;

	if (value == NULL)
		return false;
	len = kv_trimmed(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &start);
	return kv_looks_like_key(VARDATA_ANY(value) + start, len, prefixes, count);
}

void
kv_key_hide_literal(const text *api_key)
{
	static bool told = false;

	if (api_key == NULL ||
		!kv_redaction_note_secret(VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key)) || told)
		return;
	told = true;
	ereport(WARNING,
			(errmsg("an API key stands literally in a statement's text"),
			 kv_redaction_is_preloaded() ?
			 errdetail("Others may have seen it in pg_stat_activity for a moment. This is said once a session.") :
			 errdetail("The server may log such a text, and others may have seen it in pg_stat_activity. This is said once a session."),
			 kv_redaction_is_preloaded() ?
			 errhint(BIND_HINT) :
			 errhint(BIND_HINT " With key_vault in shared_preload_libraries or session_preload_libraries, the log does not show it."),
			 errhidestmt(true), errhidecontext(true)));
}

static void
check_length(const text *api_key, const char *what)
{
	int			len;

	if (api_key == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("%s is NULL", what),
				 errhint("Remove a key with key_vault.delete().")));
	len = VARSIZE_ANY_EXHDR(api_key);
	if (len == 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("%s is empty", what),
				 errhint("Remove a key with key_vault.delete().")));
	if (len > KV_API_KEY_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("%s is longer than %d bytes", what, KV_API_KEY_MAX),
				 errdetail("It has %d bytes.", len),
				 errhint("Pass the key alone.")));
}

static bool
is_masked(const text *api_key)
{
	Utf8Key		key = utf8_key(api_key);
	bool		masked = kv_looks_masked(key.data, key.len);

	wipe(&key);
	return masked;
}

/*
 * By the prefixes that come with the extension only.  Else an admin would learn a
 * key: what is refused beside it depends on the answer, and so on prefixes that an
 * admin adds.
 */
static bool
looks_like_builtin_key(const text *api_key)
{
	int			count;
	const KvKeyPrefix *prefixes = kv_provider_builtin_prefixes(&count);
	size_t		start;
	size_t		len = kv_trimmed(VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key), &start);

	return kv_looks_like_key(VARDATA_ANY(api_key) + start, len, prefixes, count);
}

/* argument: "user id".  It would be stored in the clear. */
static void
check_order(const text *value, const char *argument, const text *api_key)
{
	if (!looks_like_key(value) || looks_like_builtin_key(api_key))
		return;
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("%s looks like an API key, and the API key does not", argument),
			 errdetail("Nothing is stored: it would stand in the database in the clear."),
			 errhint("The arguments of key_vault.set() are user_id, provider, api_key, label. Those of key_vault.get() are user_id, provider, label."),
			 errhidestmt(true), errhidecontext(true)));
}

void
kv_key_refuse(const KvSecretTarget *target, const text *api_key, const char *what)
{
	check_length(api_key, what);
	if (is_masked(api_key))
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("%s is masked", what),
				 errdetail("It has stars, bullets or dots where a key has its characters. The key that was stored before is left as it is."),
				 errhint("Do not save what a page shows of a stored key. Call key_vault.set() only when the user has entered another one.")));
	check_order(target->name.user_id, "user id", api_key);
	check_order(target->name.label, "label", api_key);
}

/* Where the first character is that a header cannot carry, in words; or NULL. */
static char *
unsendable(const char *key, int len)
{
	size_t		start;
	size_t		trimmed = kv_trimmed(key, len, &start);
	size_t		at = kv_first_unsendable(key + start, trimmed);
	const char *name;

	if (at == trimmed)
		return NULL;
	at += start;
	name = kv_unsendable_name(key + at, len - at);
	/* all before it is ASCII, so that bytes are characters */
	return psprintf("has %s at position %zu, which an HTTP header cannot carry",
					name != NULL ? name : "a character that is not ASCII", at + 1);
}

static List *
oddities(const char *key, int len)
{
	List	   *odd = NIL;
	const char *ciphertext = kv_looks_like_ciphertext(key, len);
	char	   *where;
	size_t		start;

	if (ciphertext != NULL)
		return list_make1(psprintf("is %s", ciphertext));
	if (kv_key_is_structured(key, len))
		return NIL;
	if (kv_trimmed(key, len, &start) != (size_t) len)
		odd = lappend(odd, "begins or ends with white space");
	where = unsendable(key, len);
	if (where != NULL)
		odd = lappend(odd, where);
	return odd;
}

List *
kv_key_oddities(const KvSecretTarget *target, const text *api_key)
{
	Utf8Key		key = utf8_key(api_key);
	List	   *odd = oddities(key.data, key.len);
	const text *label = target->name.label;

	wipe(&key);
	if (VARSIZE_ANY_EXHDR(api_key) < SHORT_KEY && !kv_label_is_default(label) &&
		VARSIZE_ANY_EXHDR(label) > VARSIZE_ANY_EXHDR(api_key))
		odd = lappend(odd, "is shorter than its label; perhaps the arguments are in the wrong order");
	return odd;
}

const char *
kv_key_ciphertext(const text *api_key)
{
	Utf8Key		key = utf8_key(api_key);
	const char *ciphertext = kv_looks_like_ciphertext(key.data, key.len);

	wipe(&key);
	return ciphertext;
}

/* The prefixes in words: "AIza" or "AQ." */
static char *
prefixes_in_words(const KvProvider *provider)
{
	StringInfoData words;

	initStringInfo(&words);
	for (int i = 0; i < provider->key_prefix_count; i++)
	{
		const KvKeyPrefix *prefix = &provider->key_prefixes[i];

		appendStringInfo(&words, "%s\"%.*s\"",
						 i == 0 ? "" : i == provider->key_prefix_count - 1 ? " or " : ", ",
						 KV_KEY_PREFIX_MAX, prefix->text);
	}
	return words.data;
}

static void
warn_of_mismatch(const KvSecretTarget *target, const text *api_key)
{
	const KvProvider *provider = kv_provider_resolve(target->name.provider);

	/* that a ciphertext is none has been said */
	if (kv_provider_key_matches(provider, VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key)) ||
		kv_key_ciphertext(api_key) != NULL)
		return;
	ereport(WARNING,
			(errmsg("API key does not look like a key of provider \"%s\"",
					text_to_cstring(target->name.provider)),
			 errdetail("Keys of %s begin with %s. Formats change, so it is stored as it is.",
					   provider->display_name, prefixes_in_words(provider)),
			 errhidestmt(true), errhidecontext(true)));
}

void
kv_key_check(const KvSecretTarget *target, const text *api_key, const char *what)
{
	ListCell   *cell;

	kv_key_refuse(target, api_key, what);
	foreach(cell, kv_key_oddities(target, api_key))
	{
		if (kv_setting_check_keys == KV_CHECK_KEYS_REFUSE)
			ereport(ERROR,
					(errcode(KV_ERRCODE_BAD_ARGUMENT),
					 errmsg("%s %s", what, (char *) lfirst(cell)),
					 errdetail("The setting key_vault.check_keys refuses such keys."),
					 errhint("Have it entered anew. key_vault.inspect_key() says beforehand what is odd about a key."),
					 errhidestmt(true), errhidecontext(true)));
		ereport(WARNING,
				(errmsg("%s %s", what, (char *) lfirst(cell)),
				 errdetail("It is stored as it is."),
				 errhint("key_vault.inspect_key() says beforehand what is odd about a key."),
				 errhidestmt(true), errhidecontext(true)));
	}
	warn_of_mismatch(target, api_key);
}

static void
put_sentence(Tuplestorestate *result, TupleDesc columns, const char *sentence)
{
	Datum		value = CStringGetTextDatum(sentence);
	bool		isnull = false;

	tuplestore_putvalues(result, columns, &value, &isnull);
}

void
kv_key_inspect(const text *provider_name, const text *api_key,
			   Tuplestorestate *result, TupleDesc columns)
{
	const KvProvider *provider;
	ListCell   *cell;
	List	   *odd;
	Utf8Key		key;

	kv_key_hide_literal(api_key);
	provider = kv_provider_resolve(provider_name);
	if (api_key == NULL || VARSIZE_ANY_EXHDR(api_key) == 0)
	{
		put_sentence(result, columns, "The key is empty.");
		return;
	}
	if (VARSIZE_ANY_EXHDR(api_key) > KV_API_KEY_MAX)
		put_sentence(result, columns, psprintf("The key is longer than %d bytes.", KV_API_KEY_MAX));
	if (is_masked(api_key))
	{
		put_sentence(result, columns, "The key is masked: it has stars, bullets or dots where a key has its characters.");
		return;
	}
	if (kv_key_ciphertext(api_key) == NULL &&
		!kv_provider_key_matches(provider, VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key)))
		put_sentence(result, columns,
					 psprintf("The key does not look like one of %s, which begin with %s. Formats change, so it may be right all the same.",
							  provider->display_name, prefixes_in_words(provider)));
	key = utf8_key(api_key);
	odd = oddities(key.data, key.len);
	wipe(&key);
	foreach(cell, odd)
		put_sentence(result, columns, psprintf("The key %s.", (char *) lfirst(cell)));
}
