/*
 * known.c
 *		Collects what must not stand in an entry of the log.  Nothing is copied: the
 *		statement's text and its parameters are still there.
 *
 * A statement may have very many literals, so of them only those are collected of
 * which something stands in the entry.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"

#include "format/sql_redact.h"
#include "format/sql_token.h"
#include "server/compat.h"
#include "server/redaction/known.h"
#include "server/redaction/names.h"
#include "server/redaction/statement.h"
#include "server/redaction/values.h"

#define VALUES_MAX 256
#define BYTES_MAX (64 * 1024)	/* of all values: the time to search for them */

static KvKnownValues known;
static KvKnownValue values[VALUES_MAX];
static Size count;
static Size bytes;
static bool is_full;			/* there was one more */

/* The entry that values are collected for; NULL: all are. */
static KvKnownValues entry;
static KvKnownValue fields[KV_ENTRY_FIELDS];
static const KvKnownValues *wanted = NULL;

/* The portal of the running statement, which an error takes off ActivePortal. */
static Portal noted = NULL;
static char noted_name[NAMEDATALEN];
static TimestampTz noted_at = 0;

/* A parallel worker has no portal, and runs one statement. */
static ParamListInfo of_worker = NULL;

/* Which of the first parameters have bytes as text has, of types that others defined. */
static uint64 noted_varlena = 0;

/* The portal that was noted, if it still is the one of that name. */
static Portal
noted_portal(void)
{
	if (noted == NULL || noted_at != GetCurrentStatementStartTimestamp() ||
		GetPortalByName(noted_name) != noted)
		return NULL;
	return noted;
}

static ParamListInfo
parameters_of(Portal portal)
{
	if (IsParallelWorker())
		return of_worker;
	if (portal == NULL || portal->portalParams == NULL ||
		portal->portalParams->paramFetch != NULL)
		return NULL;
	return portal->portalParams;
}

/* Domains, citext and the like: asked for here, because the log's hook may not. */
static uint64
varlena_of(ParamListInfo params)
{
	uint64		found = 0;

	for (int i = 0; params != NULL && i < params->numParams && i < 64; i++)
		if (params->params[i].ptype >= FirstNormalObjectId &&
			get_typlen(params->params[i].ptype) == -1)
			found |= UINT64CONST(1) << i;
	return found;
}

void
kv_known_note_parameters(ParamListInfo params)
{
	/* the first query is the leader's, others are those of functions */
	if (IsParallelWorker() && of_worker == NULL)
		of_worker = params;
	noted = ActivePortal;
	noted_at = GetCurrentStatementStartTimestamp();
	if (noted != NULL)
		strlcpy(noted_name, noted->name, sizeof(noted_name));
	/* it runs, and so is there: its name need not be looked up */
	noted_varlena = varlena_of(parameters_of(noted));
}

static void
add(const char *data, Size len)
{
	if (len < KV_KNOWN_VALUE_MIN ||
		(wanted != NULL && !kv_known_values_stand_in(wanted, data, len)))
		return;
	if (count == VALUES_MAX || bytes + len > BYTES_MAX)
	{
		is_full = true;
		return;
	}
	values[count++] = (KvKnownValue){.data = data, .len = len};
	bytes += len;
}

static void
add_secrets(void)
{
	Size		kept_count;
	const KvKnownValue *kept = kv_secrets_kept(&kept_count);

	count = bytes = 0;
	is_full = false;
	for (Size i = 0; i < kept_count; i++)
		add(kept[i].data, kept[i].len);
}

/* Whether a literal's content is SQL, which contexts quote in their turn. */
static bool
is_code(const char *text, Size len)
{
	static const char *const begins[] = {"select ", "with "};

	for (Size i = 0; i < lengthof(begins); i++)
		if (len > strlen(begins[i]) && pg_strncasecmp(text, begins[i], strlen(begins[i])) == 0)
			return true;
	return kv_text_carries_secrets(text, len);
}

/*
 * A literal that is code itself is no secret, but those in it may be.  One level is
 * looked into: inside of two quotes are doubled twice.
 */
static void
add_literals(const char *text, Size len, int levels)
{
	KvSqlScanner scanner = {.text = text, .len = len, .backslashes = kv_backslashes_escape()};
	KvSqlToken	token;

	while (!is_full && kv_sql_next_hidden(&scanner, &token))
	{
		size_t		start = token.start;
		size_t		end = token.end;

		if (token.kind == KV_SQL_COMMENT)
			continue;
		if (token.kind != KV_SQL_NUMBER)
			kv_sql_content(text, &token, &start, &end);
		if (token.kind != KV_SQL_STRING || !is_code(text + start, end - start))
			add(text + start, end - start);
		else if (levels > 0)
			add_literals(text + start, end - start, levels - 1);
	}
}

/* Only what is text, or has text in it byte for byte. */
static bool
holds_text(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID || type == BYTEAOID ||
		type == JSONOID || type == JSONBOID || type == TEXTARRAYOID || type == VARCHARARRAYOID;
}

static void
add_parameters(void)
{
	ParamListInfo params = parameters_of(noted_portal());

	for (int i = 0; params != NULL && i < params->numParams; i++)
	{
		ParamExternData *param = &params->params[i];
		Pointer		value = DatumGetPointer(param->value);

		if (param->isnull)
			continue;
		if (param->ptype == UNKNOWNOID)
			add(value, strlen(value));
		else if ((holds_text(param->ptype) || (i < 64 && (noted_varlena >> i & 1) != 0)) &&
				 !VARATT_IS_EXTERNAL(value) && !VARATT_IS_COMPRESSED(value))
			add(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	}
}

static const KvKnownValues *
index_values(void)
{
	if (count == 0)
		return NULL;
	kv_known_values_index(&known, values, count);
	return &known;
}

static void
add_copied(const char *context)
{
	const char *copied = context != NULL ? strstr(context, "COPY ") : NULL;
	const char *row = copied != NULL ? strstr(copied, ": ") : NULL;

	if (row != NULL)
		add(row, strlen(row));
}

/* From here on, only what stands in these texts, some of which may be NULL. */
static void
want(const char *const texts[KV_ENTRY_FIELDS])
{
	Size		field_count = 0;

	for (int i = 0; i < KV_ENTRY_FIELDS; i++)
		if (texts[i] != NULL)
			fields[field_count++] = (KvKnownValue){.data = texts[i], .len = strlen(texts[i])};
	kv_known_values_index(&entry, fields, field_count);
	wanted = &entry;
}

static bool
has_secrets(void)
{
	Size		kept_count;

	(void) kv_secrets_kept(&kept_count);
	return kept_count > 0;
}

/* All, as one that was cut short stands in a text by a few bytes; or those that do stand there. */
static void
add_secrets_for(const char *const texts[KV_ENTRY_FIELDS])
{
	wanted = NULL;
	add_secrets();
	if (is_full && texts != NULL)
	{
		want(texts);
		add_secrets();
	}
}

const KvKnownValues *
kv_known_secrets(const char *const texts[KV_ENTRY_FIELDS])
{
	if (!has_secrets())
		return NULL;
	add_secrets_for(texts);
	return index_values();
}

static void
add_arguments(void)
{
	Size		len;
	const char *text = kv_statement_text(&len);
	Portal		portal = noted_portal();

	if (text != NULL)
		add_literals(text, len, 1);
	if (portal != NULL && portal->sourceText != NULL && portal->sourceText != text)
		add_literals(portal->sourceText, strlen(portal->sourceText), 1);
	add_parameters();
}

const KvKnownValues *
kv_known_arguments(const char *const texts[KV_ENTRY_FIELDS], const char *context, bool *too_many)
{
	add_secrets_for(NULL);
	want(texts);
	if (!is_full)
		add_arguments();
	if (is_full)
	{
		add_secrets();
		add_arguments();
	}
	wanted = NULL;
	add_copied(context);
	*too_many = is_full;
	return index_values();
}
