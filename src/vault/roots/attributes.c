/*
 * attributes.c
 *		Spells a jsonb so that what is bound to it opens in any database.
 *
 * jsonb orders the members of an object by the bytes that their names have in the
 * database's encoding, and is shown in that order.  Here they are ordered by UTF-8.
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "format/json_text.h"
#include "server/compat.h"
#include "server/encoding.h"
#include "vault/roots/attributes.h"

typedef struct Member
{
	const char *name;			/* UTF-8 */
	int			len;
	JsonbValue	value;
} Member;

static KvAttributesFault put_container(KvJsonText *text, JsonbContainer *container, int depth);

static KvAttributesFault
if_there_is_room(bool there_is)
{
	return there_is ? KV_ATTRIBUTES_GOOD : KV_ATTRIBUTES_TOO_LARGE;
}

static KvAttributesFault
put_string(KvJsonText *text, const char *string, int len)
{
	int			utf8_len;
	const char *utf8;

	if ((size_t) len > text->size)
		return KV_ATTRIBUTES_TOO_LARGE;
	utf8 = kv_try_to_utf8(string, len, &utf8_len);
	if (utf8 == NULL)
		return KV_ATTRIBUTES_NOT_UTF8;
	return if_there_is_room(kv_json_put_string(text, utf8, utf8_len));
}

static KvAttributesFault
put_plain(KvJsonText *text, const char *plain)
{
	return if_there_is_room(kv_json_put(text, plain, strlen(plain)));
}

static KvAttributesFault
put_value(KvJsonText *text, const JsonbValue *value, int depth)
{
	switch (value->type)
	{
		case jbvNull:
			return put_plain(text, "null");
		case jbvBool:
			return put_plain(text, value->val.boolean ? "true" : "false");
		case jbvNumeric:
			return put_plain(text, DatumGetCString(DirectFunctionCall1(numeric_out,
																	   NumericGetDatum(value->val.numeric))));
		case jbvString:
			return put_string(text, value->val.string.val, value->val.string.len);
		default:
			return put_container(text, value->val.binary.data, depth + 1);
	}
}

static int
compare_members(const void *a, const void *b)
{
	const Member *left = a;
	const Member *right = b;

	return kv_json_compare_names(left->name, left->len, right->name, right->len);
}

/* The members of an object, in the order of the text; how many the object has is known. */
static KvAttributesFault
take_members(JsonbIterator **iterator, Member *members, int count, size_t name_max)
{
	JsonbValue	name;

	for (int i = 0; i < count; i++)
	{
		(void) JsonbIteratorNext(iterator, &name, true);
		(void) JsonbIteratorNext(iterator, &members[i].value, true);
		if ((size_t) name.val.string.len > name_max)
			return KV_ATTRIBUTES_TOO_LARGE;
		members[i].name = kv_try_to_utf8(name.val.string.val, name.val.string.len, &members[i].len);
		if (members[i].name == NULL)
			return KV_ATTRIBUTES_NOT_UTF8;
	}
	qsort(members, count, sizeof(Member), compare_members);
	return KV_ATTRIBUTES_GOOD;
}

static KvAttributesFault
put_object(KvJsonText *text, JsonbIterator *iterator, int count, int depth)
{
	Member	   *members = palloc(sizeof(Member) * Max(count, 1));
	KvAttributesFault fault = take_members(&iterator, members, count, text->size);

	if (fault == KV_ATTRIBUTES_GOOD)
		fault = put_plain(text, "{");
	for (int i = 0; i < count && fault == KV_ATTRIBUTES_GOOD; i++)
	{
		if (!(i == 0 || kv_json_put(text, ",", 1)) ||
			!kv_json_put_string(text, members[i].name, members[i].len) ||
			!kv_json_put(text, ":", 1))
			fault = KV_ATTRIBUTES_TOO_LARGE;
		else
			fault = put_value(text, &members[i].value, depth);
	}
	pfree(members);
	return fault == KV_ATTRIBUTES_GOOD ? put_plain(text, "}") : fault;
}

static KvAttributesFault
put_array(KvJsonText *text, JsonbIterator *iterator, int count, int depth)
{
	KvAttributesFault fault = put_plain(text, "[");
	JsonbValue	element;

	for (int i = 0; i < count && fault == KV_ATTRIBUTES_GOOD; i++)
	{
		(void) JsonbIteratorNext(&iterator, &element, true);
		if (i > 0)
			fault = put_plain(text, ",");
		if (fault == KV_ATTRIBUTES_GOOD)
			fault = put_value(text, &element, depth);
	}
	return fault == KV_ATTRIBUTES_GOOD ? put_plain(text, "]") : fault;
}

static KvAttributesFault
put_container(KvJsonText *text, JsonbContainer *container, int depth)
{
	int			count = JsonContainerSize(container);
	JsonbIterator *iterator;
	JsonbValue	itself;

	if (depth > KV_ATTRIBUTES_DEPTH)
		return KV_ATTRIBUTES_TOO_DEEP;
	/* each member takes more than a byte of the text */
	if ((size_t) count > text->size - text->len)
		return KV_ATTRIBUTES_TOO_LARGE;
	iterator = JsonbIteratorInit(container);
	(void) JsonbIteratorNext(&iterator, &itself, true);
	return JsonContainerIsObject(container) ?
		put_object(text, iterator, count, depth) : put_array(text, iterator, count, depth);
}

/* The text is written through a structure, which clang-tidy does not see. */
KvAttributesFault
kv_attributes_text(Jsonb *attributes, char *buffer, KvBytes *bytes)	/* NOLINT(readability-non-const-parameter) */
{
	KvJsonText	text = {.bytes = buffer, .size = KV_ATTRIBUTES_MAX};
	KvAttributesFault fault;

	if (!JB_ROOT_IS_OBJECT(attributes))
		return KV_ATTRIBUTES_NO_OBJECT;
	fault = put_container(&text, &attributes->root, 1);
	bytes->data = (const uint8_t *) buffer;
	bytes->len = text.len;
	return fault;
}
