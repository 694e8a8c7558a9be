/*
 * issuer_document.c
 *		Spells an issuer as a sequence of fields, so that it can be read where it lies: no
 *		copy of a secret is made.
 *
 * A field is its length in four bytes, big endian, its bytes, and a NUL.  An absent text
 * is a field that is empty; a present one starts with a 1.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "port/pg_bswap.h"

#include "vault/tokens/issuer_document.h"

#define FORMAT 1

static void
put(StringInfo document, const char *prefix, const char *data, Size len)
{
	uint32		total = pg_hton32((uint32) (strlen(prefix) + len));

	appendBinaryStringInfo(document, (const char *) &total, sizeof(total));
	appendBinaryStringInfo(document, prefix, strlen(prefix));
	appendBinaryStringInfo(document, data, len);
	appendStringInfoChar(document, '\0');
}

static void
put_text(StringInfo document, const char *value)
{
	put(document, "", value, strlen(value));
}

static void
put_text_or_null(StringInfo document, const char *value)
{
	put(document, value != NULL ? "\1" : "", value != NULL ? value : "",
		value != NULL ? strlen(value) : 0);
}

static void
put_int64(StringInfo document, int64 value)
{
	uint64		bytes = pg_hton64((uint64) value);

	put(document, "", (const char *) &bytes, sizeof(bytes));
}

uint8 *
kv_issuer_to_document(const KvIssuer *issuer, Size *len)
{
	const KvTokenRules *rules = &issuer->rules;
	Size		size = issuer->jwks_len + 8192;
	StringInfoData document;

	/* once, for what is given back while it grows would not be wiped */
	for (size_t i = 0; i < rules->audience_count; i++)
		size += strlen(rules->audiences[i]) + 8;
	initStringInfo(&document);
	enlargeStringInfo(&document, (int) size);

	appendStringInfoChar(&document, FORMAT);
	put_text(&document, rules->user_claim);
	put_text(&document, rules->user_prefix);
	put_text_or_null(&document, rules->team_claim);
	put_text_or_null(&document, rules->team_admin_claim);
	put_text(&document, rules->audience_claim);
	put_int64(&document, rules->max_age);
	put_int64(&document, rules->clock_skew);
	put_int64(&document, (int64) rules->audience_count);
	for (size_t i = 0; i < rules->audience_count; i++)
		put_text(&document, rules->audiences[i]);
	put(&document, "", issuer->jwks, issuer->jwks_len);
	*len = document.len;
	return (uint8 *) document.data;
}

/* What is still to be read. */
typedef struct Reader
{
	const char *next;
	Size		left;
	bool		failed;
} Reader;

/* A field, which ends with a NUL; "" when there is none, and the reader has failed. */
static const char *
take(Reader *reader, Size *len)
{
	uint32		total;
	const char *field;

	*len = 0;
	if (reader->failed || reader->left < sizeof(total) + 1)
	{
		reader->failed = true;
		return "";
	}
	memcpy(&total, reader->next, sizeof(total));
	total = pg_ntoh32(total);
	if (total > reader->left - sizeof(total) - 1 || reader->next[sizeof(total) + total] != '\0')
	{
		reader->failed = true;
		return "";
	}
	field = reader->next + sizeof(total);
	reader->next += sizeof(total) + total + 1;
	reader->left -= sizeof(total) + total + 1;
	*len = total;
	return field;
}

static const char *
take_text(Reader *reader)
{
	Size		len;

	return take(reader, &len);
}

static const char *
take_text_or_null(Reader *reader)
{
	Size		len;
	const char *field = take(reader, &len);

	return len > 0 ? field + 1 : NULL;
}

static int64
take_int64(Reader *reader)
{
	Size		len;
	const char *field = take(reader, &len);
	uint64		value = 0;

	if (len != sizeof(value))
		reader->failed = true;
	else
		memcpy(&value, field, sizeof(value));
	return (int64) pg_ntoh64(value);
}

bool
kv_issuer_from_document(const uint8 *document, Size len, KvIssuer *issuer)
{
	KvTokenRules *rules = &issuer->rules;
	Reader		reader = {(const char *) document + 1, len - 1, len < 1 || document[0] != FORMAT};
	const char **audiences;
	int64		count;

	memset(issuer, 0, sizeof(*issuer));
	rules->user_claim = take_text(&reader);
	rules->user_prefix = take_text(&reader);
	rules->team_claim = take_text_or_null(&reader);
	rules->team_admin_claim = take_text_or_null(&reader);
	rules->audience_claim = take_text(&reader);
	rules->max_age = take_int64(&reader);
	rules->clock_skew = take_int64(&reader);
	count = take_int64(&reader);
	if (reader.failed || count < 0 || (Size) count > reader.left)
		return false;
	audiences = palloc(sizeof(char *) * Max(count, 1));
	for (int64 i = 0; i < count; i++)
		audiences[i] = take_text(&reader);
	rules->audiences = audiences;
	rules->audience_count = (size_t) count;
	issuer->jwks = take(&reader, &issuer->jwks_len);
	return !reader.failed && reader.left == 0;
}
