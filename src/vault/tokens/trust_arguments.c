/*
 * trust_arguments.c
 *		Reads what trust_issuer() is called with, and refuses what would make a token mean
 *		less than it says.  No message shows a key.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "jose/key_set.h"
#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/redaction/redaction.h"
#include "server/settings.h"
#include "vault/tokens/trust_arguments.h"

#define AUDIENCES_MAX 64
#define TEXT_MAX 255			/* bytes of an audience, or of a claim's name */
#define PREFIX_MAX 127
#define MAX_AGE_MAX (INT64CONST(366) * USECS_PER_DAY)
#define CLOCK_SKEW_MAX (INT64CONST(10) * USECS_PER_MINUTE)

pg_noreturn static void
refuse_null(const char *name)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_NO_ARGUMENT),
			 errmsg("%s is NULL", name)));
}

static char *
to_utf8(const text *value)
{
	int			len;
	const char *utf8 = kv_to_utf8(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &len);

	return pnstrdup(utf8, len);
}

static void
check_length(const text *value, const char *name, int least, int most)
{
	int			len = VARSIZE_ANY_EXHDR(value);

	if (len < least || len > most)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("%s must have %d to %d bytes", name, least, most),
				 errdetail("It has %d bytes.", len)));
}

char *
kv_trust_issuer_name(const text *issuer)
{
	if (issuer == NULL)
		refuse_null("issuer");
	check_length(issuer, "issuer", 1, KV_ISSUER_NAME_MAX);
	return text_to_cstring(issuer);
}

static const char *
claim(const text *value, const char *name)
{
	if (value == NULL)
		refuse_null(name);
	check_length(value, name, 1, TEXT_MAX);
	return to_utf8(value);
}

static const char *
claim_or_null(const text *value, const char *name)
{
	return value != NULL ? claim(value, name) : NULL;
}

/* Users `team:...` are teams.  A shorter beginning of that would leave the rest to the token. */
static const char *
prefix(const text *value)
{
	int			len;

	if (value == NULL)
		refuse_null("user_prefix");
	check_length(value, "user_prefix", 0, PREFIX_MAX);
	len = VARSIZE_ANY_EXHDR(value);
	if (len > 0 &&
		memcmp(VARDATA_ANY(value), KV_TEAM_PREFIX, Min(len, KV_TEAM_PREFIX_LEN)) == 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("user_prefix may not begin as \"%s\" does", KV_TEAM_PREFIX),
				 errdetail("Users whose ids begin so are teams, and no token's subject can be one.")));
	return to_utf8(value);
}

static void
read_audience(ArrayType *array, KvTokenRules *rules)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	const char **audiences;

	if (array == NULL)
		refuse_null("audience");
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	if (count < 1 || count > AUDIENCES_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("audience must have 1 to %d elements", AUDIENCES_MAX),
				 errdetail("It has %d.", count),
				 errhint("Without an audience, a token that was made for another application would do.")));
	audiences = palloc(sizeof(char *) * count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			refuse_null("an element of audience");
		check_length(DatumGetTextPP(elements[i]), "an element of audience", 1, TEXT_MAX);
		audiences[i] = to_utf8(DatumGetTextPP(elements[i]));
	}
	rules->audiences = audiences;
	rules->audience_count = count;
}

/* A month is 30 days, as where PostgreSQL compares intervals. */
static int64
read_interval(const Interval *interval, const char *name, int64 least, int64 most)
{
	double		estimate;

	if (interval == NULL)
		refuse_null(name);
	estimate = (double) interval->time +
		((double) interval->month * DAYS_PER_MONTH + interval->day) * USECS_PER_DAY;
	if (estimate < (double) least || estimate > (double) most)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("%s must be %lld seconds to %lld seconds", name,
						(long long) (least / USECS_PER_SEC), (long long) (most / USECS_PER_SEC)),
				 errdetail("It is %.0f seconds.", estimate / USECS_PER_SEC)));
	return interval->time +
		((int64) interval->month * DAYS_PER_MONTH + interval->day) * USECS_PER_DAY;
}

/* Members of a JWK that are secret: the first, and those of a private key, passed by mistake. */
static bool
is_secret_member(const JsonbValue *name)
{
	static const char *const secret[] = {"k", "d", "p", "q", "dp", "dq", "qi"};

	for (int i = 0; i < (int) lengthof(secret); i++)
	{
		if (name->val.string.len == (int) strlen(secret[i]) &&
			memcmp(name->val.string.val, secret[i], strlen(secret[i])) == 0)
			return true;
	}
	return false;
}

void
kv_trust_note_secrets(Jsonb *jwks)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		is_secret = false;

	if (jwks == NULL)
		return;
	iterator = JsonbIteratorInit(&jwks->root);
	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		if (token == WJB_VALUE && is_secret && value.type == jbvString)
			(void) kv_redaction_note_secret(value.val.string.val, value.val.string.len);
		is_secret = token == WJB_KEY && is_secret_member(&value);
	}
}

/* NULL where there is no such member, or no object.  The server's look-up is for objects only. */
static JsonbValue *
member(JsonbContainer *container, const char *name, JsonbValue *buffer)
{
	return JsonContainerIsObject(container) ?
		getKeyJsonValueFromContainer(container, name, strlen(name), buffer) : NULL;
}

/* The id of the key of that number, from 1 on, as a detail; NULL when it has none. */
static char *
id_of_key(Jsonb *jwks, size_t number)
{
	JsonbValue	keys_buffer;
	JsonbValue *keys;
	JsonbValue *key;
	JsonbValue	id_buffer;
	JsonbValue *id;

	if (number == 0)
		return NULL;
	keys = member(&jwks->root, "keys", &keys_buffer);
	if (keys == NULL || keys->type != jbvBinary || !JsonContainerIsArray(keys->val.binary.data))
		return NULL;
	key = getIthJsonbValueFromContainer(keys->val.binary.data, (uint32) number - 1);
	if (key == NULL || key->type != jbvBinary)
		return NULL;
	id = member(key->val.binary.data, "kid", &id_buffer);
	if (id == NULL || id->type != jbvString || id->val.string.len > TEXT_MAX)
		return NULL;
	return pnstrdup(id->val.string.val, id->val.string.len);
}

pg_noreturn static void
refuse_keys(KvKeySetFault fault, Jsonb *jwks, size_t number)
{
	const char *id = id_of_key(jwks, number);

	if (fault == KV_KEYS_NO_MEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	ereport(ERROR,
			(errcode(fault == KV_KEYS_LIBRARY ? KV_ERRCODE_STATE : KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("%s", kv_key_set_fault_text(fault)),
			 number == 0 ? 0 :
			 id != NULL ? errdetail("It is about key %zu of jwks, whose \"kid\" is \"%s\".", number, id) :
			 errdetail("It is about key %zu of jwks.", number)));
}

static void
read_keys(Jsonb *jwks, KvIssuer *issuer)
{
	char	   *volatile json;
	const char *utf8;
	int			len;
	KvKeySet   *keys;
	size_t		number;
	KvKeySetFault fault;

	if (jwks == NULL)
		refuse_null("jwks");
	/* with room enough: what is given back while it grows would not be wiped */
	json = JsonbToCString(NULL, &jwks->root, (int) Min(VARSIZE(jwks) * 4, (Size) INT_MAX / 4));
	PG_TRY();
	{
		utf8 = kv_to_utf8(json, strlen(json), &len);
	}
	PG_CATCH();
	{
		explicit_bzero(json, strlen(json));
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (utf8 != json)
		explicit_bzero(json, strlen(json));
	issuer->jwks = utf8;
	issuer->jwks_len = len;

	fault = kv_key_set_parse(utf8, len, &keys, &number);
	if (fault != KV_KEYS_OK)
	{
		explicit_bzero(unconstify(char *, utf8), len);
		refuse_keys(fault, jwks, number);
	}
	kv_key_set_free(keys);
}

void
kv_trust_read_arguments(const KvTrustArgs *args, KvIssuer *issuer)
{
	KvTokenRules *rules = &issuer->rules;

	memset(issuer, 0, sizeof(*issuer));
	read_audience(args->audience, rules);
	rules->audience_claim = claim(args->audience_claim, "audience_claim");
	rules->user_claim = claim(args->user_claim, "user_claim");
	rules->user_prefix = prefix(args->user_prefix);
	rules->team_claim = claim_or_null(args->team_claim, "team_claim");
	rules->team_admin_claim = claim_or_null(args->team_admin_claim, "team_admin_claim");
	if (rules->team_admin_claim != NULL && rules->team_claim == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("team_admin_claim needs a team_claim"),
				 errdetail("It says whether the user may change the keys of the team that the other names.")));
	rules->max_age = read_interval(args->max_age, "max_age", USECS_PER_SEC, MAX_AGE_MAX);
	rules->clock_skew = read_interval(args->clock_skew, "clock_skew", 0, CLOCK_SKEW_MAX);
	/* last: nothing throws any more once there is a copy of the keys */
	read_keys(args->jwks, issuer);
}
