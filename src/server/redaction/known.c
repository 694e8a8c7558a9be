/*
 * known.c
 *		Collects what must not stand in an entry of the log.  Nothing is copied: the
 *		statement's text and its parameters are still there.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "tcop/pquery.h"
#include "utils/portal.h"

#include "format/sql_redact.h"
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

/* The portal of the running statement, which an error takes off ActivePortal. */
static Portal noted = NULL;
static char noted_name[NAMEDATALEN];
static TimestampTz noted_at = 0;

/* A parallel worker has no portal, and runs one statement. */
static ParamListInfo of_worker = NULL;

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
}

static void
add(const char *data, Size len)
{
	if (len < KV_KNOWN_VALUE_MIN || count == VALUES_MAX || bytes + len > BYTES_MAX)
		return;
	values[count++] = (KvKnownValue){.data = data, .len = len};
	bytes += len;
}

static void
add_secrets(void)
{
	Size		kept_count;
	const KvKnownValue *kept = kv_secrets_kept(&kept_count);

	count = bytes = 0;
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

	while (count < VALUES_MAX && kv_sql_next_hidden(&scanner, &token))
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

static ParamListInfo
bound_parameters(void)
{
	Portal		portal = noted;

	if (IsParallelWorker())
		return of_worker;
	if (portal == NULL || noted_at != GetCurrentStatementStartTimestamp() ||
		GetPortalByName(noted_name) != portal || portal->portalParams == NULL ||
		portal->portalParams->paramFetch != NULL)
		return NULL;
	return portal->portalParams;
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
	ParamListInfo params = bound_parameters();

	for (int i = 0; params != NULL && i < params->numParams; i++)
	{
		ParamExternData *param = &params->params[i];
		Pointer		value = DatumGetPointer(param->value);

		if (param->isnull)
			continue;
		if (param->ptype == UNKNOWNOID)
			add(value, strlen(value));
		else if (holds_text(param->ptype) &&
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

const KvKnownValues *
kv_known_secrets(void)
{
	add_secrets();
	return index_values();
}

static void
add_copied(const char *context)
{
	const char *copied = context != NULL ? strstr(context, "COPY ") : NULL;
	const char *row = copied != NULL ? strstr(copied, ": ") : NULL;

	if (row != NULL)
		add(row, strlen(row));
}

const KvKnownValues *
kv_known_arguments(const char *context)
{
	Size		len;
	const char *text = kv_statement_text(&len);

	add_secrets();
	if (text != NULL)
		add_literals(text, len, 1);
	add_parameters();
	add_copied(context);
	return index_values();
}
