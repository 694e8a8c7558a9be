/*
 * issuer_list.c
 *		Tells of the issuers what may be told: of a symmetric key that there is one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "vault/roots/records.h"
#include "vault/tokens/issuer_list.h"

static text *
to_text(const char *utf8)
{
	int			len;
	const char *converted = kv_from_utf8(utf8, strlen(utf8), &len);

	return cstring_to_text_with_len(converted, len);
}

static void
append_member(StringInfo json, const char *name, const char *utf8, const char *before)
{
	appendStringInfo(json, "%s\"%s\": ", before, name);
	if (utf8 == NULL)
		appendStringInfoString(json, "null");
	else
		escape_json(json, text_to_cstring(to_text(utf8)));
}

/* What is seen of the keys; the set is freed by the caller. */
static Datum
keys_to_jsonb(const KvKeySet *keys)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (size_t i = 0; i < kv_key_set_count(keys); i++)
	{
		KvKeyInfo	key = kv_key_set_info(keys, i);

		append_member(&json, "kid", key.id, i > 0 ? ", {" : "{");
		append_member(&json, "alg", key.algorithm, ", ");
		append_member(&json, "kty", key.type, ", ");
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

static Datum
keys_of(const KvIssuer *issuer)
{
	KvKeySet   *keys;
	size_t		number;
	volatile Datum result = (Datum) 0;
	KvKeySetFault fault = kv_key_set_parse(issuer->jwks, issuer->jwks_len, &keys, &number);

	if (fault != KV_KEYS_OK)
		ereport(ERROR,
				(errcode(KV_ERRCODE_SEALED),
				 errmsg("an issuer's keys cannot be read: %s", kv_key_set_fault_text(fault))));
	PG_TRY();
	{
		result = keys_to_jsonb(keys);
	}
	PG_FINALLY();
	{
		kv_key_set_free(keys);
	}
	PG_END_TRY();
	return result;
}

static Datum
audience_of(const KvTokenRules *rules)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(rules->audience_count, 1));

	for (size_t i = 0; i < rules->audience_count; i++)
		elements[i] = PointerGetDatum(to_text(rules->audiences[i]));
	return PointerGetDatum(construct_array(elements, (int) rules->audience_count, TEXTOID,
										   -1, false, TYPALIGN_INT));
}

static Datum
interval_of(int64 microseconds)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = microseconds;
	return PointerGetDatum(interval);
}

static Datum
text_or_null(const char *utf8, bool *isnull)
{
	*isnull = utf8 == NULL;
	return utf8 != NULL ? PointerGetDatum(to_text(utf8)) : (Datum) 0;
}

enum
{
	COLUMN_ISSUER,
	COLUMN_AUDIENCE,
	COLUMN_KEYS,
	COLUMN_USER_CLAIM,
	COLUMN_USER_PREFIX,
	COLUMN_TEAM_CLAIM,
	COLUMN_TEAM_ADMIN_CLAIM,
	COLUMN_AUDIENCE_CLAIM,
	COLUMN_MAX_AGE,
	COLUMN_CLOCK_SKEW,
	COLUMN_ROOT_KEY_ID,
	COLUMNS
};

static void
fill(const KvIssuer *issuer, Datum *values, bool *nulls)
{
	const KvTokenRules *rules = &issuer->rules;

	memset(nulls, 0, sizeof(bool) * COLUMNS);
	values[COLUMN_AUDIENCE] = audience_of(rules);
	values[COLUMN_KEYS] = keys_of(issuer);
	values[COLUMN_USER_CLAIM] = PointerGetDatum(to_text(rules->user_claim));
	values[COLUMN_USER_PREFIX] = PointerGetDatum(to_text(rules->user_prefix));
	values[COLUMN_TEAM_CLAIM] = text_or_null(rules->team_claim, &nulls[COLUMN_TEAM_CLAIM]);
	values[COLUMN_TEAM_ADMIN_CLAIM] = text_or_null(rules->team_admin_claim,
												   &nulls[COLUMN_TEAM_ADMIN_CLAIM]);
	values[COLUMN_AUDIENCE_CLAIM] = PointerGetDatum(to_text(rules->audience_claim));
	values[COLUMN_MAX_AGE] = interval_of(rules->max_age);
	values[COLUMN_CLOCK_SKEW] = interval_of(rules->clock_skew);
}

bool
kv_issuer_read(const KvRecordRow *row, const char **why,
			   void (*look) (const char *name, const KvIssuer *issuer, void *arg), void *arg)
{
	Size		len;
	uint8	   *document = kv_record_try_open(row, &len, why);
	volatile bool read = false;

	if (document == NULL)
		return false;
	PG_TRY();
	{
		KvIssuer	issuer;

		read = kv_issuer_from_document(document, len, &issuer);
		if (read)
			look(row->name, &issuer, arg);
	}
	PG_FINALLY();
	{
		kv_record_close(document, len);
	}
	PG_END_TRY();
	if (!read)
		*why = kv_status_text(KV_MALFORMED);
	return read;
}

static void
warn_of_unopened(const KvRecordRow *record, const char *why)
{
	ereport(WARNING,
			(errcode(KV_ERRCODE_SEALED),
			 errmsg("issuer \"%s\" does not open", record->name),
			 errdetail("Reason: %s.", why)));
}

/* A row of the view. */
typedef struct ViewRow
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];
} ViewRow;

static void
look(const char *name, const KvIssuer *issuer, void *arg)
{
	ViewRow    *row = arg;

	fill(issuer, row->values, row->nulls);
}

void
kv_issuers_report(Tuplestorestate *result, TupleDesc columns)
{
	ListCell   *cell;

	foreach(cell, kv_record_rows_read(KV_RECORD_ISSUER))
	{
		const KvRecordRow *record = lfirst(cell);
		const char *why;
		ViewRow		row;

		memset(row.nulls, true, sizeof(row.nulls));
		if (!kv_issuer_read(record, &why, look, &row))
			warn_of_unopened(record, why);
		row.values[COLUMN_ISSUER] = CStringGetTextDatum(record->name);
		row.values[COLUMN_ROOT_KEY_ID] = CStringGetTextDatum(record->root_key_id);
		row.nulls[COLUMN_ISSUER] = row.nulls[COLUMN_ROOT_KEY_ID] = false;
		tuplestore_putvalues(result, columns, row.values, row.nulls);
	}
}

/* A token is good for max_age and clock_skew, and a revocation reaches as far ahead. */
static void
note_age(const char *name, const KvIssuer *issuer, void *arg)
{
	int64	   *longest = arg;

	*longest = Max(*longest, issuer->rules.max_age + 2 * issuer->rules.clock_skew);
}

int64
kv_issuers_longest_age(void)
{
	int64		longest = 0;
	ListCell   *cell;

	foreach(cell, kv_record_rows_read(KV_RECORD_ISSUER))
	{
		const KvRecordRow *record = lfirst(cell);
		const char *why;

		if (kv_issuer_read(record, &why, note_age, &longest))
			continue;
		warn_of_unopened(record, why);
		return PG_INT64_MAX;
	}
	return longest;
}
