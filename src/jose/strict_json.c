/*
 * strict_json.c
 *		One JSON object, read strictly.
 */
#include <stdbool.h>

#include <openssl/crypto.h>

#include "strict_json.h"

/*
 * Whether brackets are nested deeper than allowed.  It need not understand the rest: what
 * is no JSON jansson refuses, and what is JSON has its quotes in pairs.
 */
static bool
too_deep(const char *text, size_t len)
{
	bool		quoted = false;
	int			depth = 0;

	for (size_t i = 0; i < len; i++)
	{
		char		c = text[i];

		if (quoted)
		{
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		}
		else if (c == '"')
			quoted = true;
		else if (c == '{' || c == '[')
		{
			if (++depth > KV_JSON_DEPTH_MAX)
				return true;
		}
		else if (c == '}' || c == ']')
			depth--;
	}
	return false;
}

static KvJsonFault
fault_of(const json_error_t *error)
{
	switch (json_error_code(error))
	{
		case json_error_duplicate_key:
			return KV_JSON_DUPLICATE;
		case json_error_out_of_memory:
			return KV_JSON_NO_MEMORY;
		default:
			return KV_JSON_SYNTAX;
	}
}

KvJsonFault
kv_json_object(const char *text, size_t len, json_t **object)
{
	json_error_t error;
	KvJsonFault fault = KV_JSON_OK;

	*object = NULL;
	if (too_deep(text, len))
		return KV_JSON_DEPTH;
	*object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (*object == NULL)
		fault = fault_of(&error);
	else if (!json_is_object(*object))
	{
		json_decref(*object);
		*object = NULL;
		fault = KV_JSON_SYNTAX;
	}
	/* its text quotes what it stumbled over */
	OPENSSL_cleanse(&error, sizeof(error));
	return fault;
}

const char *
kv_json_text(const json_t *object, const char *name, size_t *len)
{
	const json_t *member = json_object_get(object, name);

	*len = json_string_length(member);
	return json_string_value(member);
}
