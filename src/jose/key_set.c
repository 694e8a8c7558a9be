/*
 * key_set.c
 *		The keys of an issuer.
 */
#include <string.h>

#include "key_set_keys.h"
#include "memory.h"
#include "strict_json.h"

struct KvKeySet
{
	size_t		count;
	size_t		skipped;
	KvKey		keys[KV_KEY_SET_MAX_KEYS];
};

static KvKeySetFault
fault_of_json(KvJsonFault fault)
{
	switch (fault)
	{
		case KV_JSON_OK:
			return KV_KEYS_OK;
		case KV_JSON_DUPLICATE:
			return KV_KEYS_DUPLICATE;
		case KV_JSON_DEPTH:
			return KV_KEYS_TOO_DEEP;
		case KV_JSON_NO_MEMORY:
			return KV_KEYS_NO_MEMORY;
		case KV_JSON_SYNTAX:
			break;
	}
	return KV_KEYS_NOT_A_SET;
}

/* Whether the key may join those that are there. */
static KvKeySetFault
check_beside_others(const KvKeySet *set, const KvKey *key)
{
	if (key->id != NULL &&
		kv_key_set_find(set, json_string_value(key->id), json_string_length(key->id)) != NULL)
		return KV_KEYS_SAME_ID;
	return KV_KEYS_OK;
}

/* A secret and a public key in one set are where a public key is taken for a secret. */
static bool
is_mixed(const KvKeySet *set)
{
	for (size_t i = 1; i < set->count; i++)
		if ((set->keys[i].algorithm->type == KV_KEY_SECRET) !=
			(set->keys[0].algorithm->type == KV_KEY_SECRET))
			return true;
	return false;
}

static KvKeySetFault
read_keys(const json_t *keys, KvKeySet *set, size_t *number)
{
	for (size_t i = 0; i < json_array_size(keys); i++)
	{
		KvKey	   *key = &set->keys[set->count];
		bool		usable;
		KvKeySetFault fault;

		*number = i + 1;
		if (!json_is_object(json_array_get(keys, i)))
			return KV_KEYS_NOT_A_SET;
		fault = kv_key_read(json_array_get(keys, i), key, &usable);
		if (fault != KV_KEYS_OK)
			return fault;
		if (!usable)
		{
			set->skipped++;
			continue;
		}
		fault = check_beside_others(set, key);
		set->count++;
		if (fault != KV_KEYS_OK)
			return fault;
	}
	*number = 0;
	if (set->count == 0)
		return KV_KEYS_NONE;
	return is_mixed(set) ? KV_KEYS_MIXED : KV_KEYS_OK;
}

static KvKeySetFault
read_set(const json_t *object, KvKeySet *set, size_t *number)
{
	const json_t *keys = json_object_get(object, "keys");

	if (!json_is_array(keys))
		return KV_KEYS_NOT_A_SET;
	if (json_array_size(keys) > KV_KEY_SET_MAX_KEYS)
		return KV_KEYS_TOO_MANY;
	return read_keys(keys, set, number);
}

KvKeySetFault
kv_key_set_parse(const char *json, size_t len, KvKeySet **set, size_t *number)
{
	json_t	   *object;
	KvKeySetFault fault;

	*set = NULL;
	*number = 0;
	if (!kv_jose_ready())
		return KV_KEYS_LIBRARY;
	if (len > KV_KEY_SET_MAX)
		return KV_KEYS_TOO_LONG;
	fault = fault_of_json(kv_json_object(json, len, &object));
	if (fault != KV_KEYS_OK)
		return fault;

	*set = kv_jose_alloc(sizeof(**set));
	if (*set == NULL)
		fault = KV_KEYS_NO_MEMORY;
	else
	{
		memset(*set, 0, sizeof(**set));
		fault = read_set(object, *set, number);
	}
	json_decref(object);
	if (fault != KV_KEYS_OK)
	{
		kv_key_set_free(*set);
		*set = NULL;
	}
	return fault;
}

void
kv_key_set_free(KvKeySet *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->count; i++)
		kv_key_clear(&set->keys[i]);
	kv_jose_free(set);
}

size_t
kv_key_set_count(const KvKeySet *set)
{
	return set->count;
}

size_t
kv_key_set_skipped(const KvKeySet *set)
{
	return set->skipped;
}

KvKeyInfo
kv_key_set_info(const KvKeySet *set, size_t index)
{
	const KvKey *key = &set->keys[index];
	KvKeyInfo	info = {
		.id = json_string_value(key->id),
		.algorithm = key->algorithm->name,
		.type = kv_key_type_name(key->algorithm->type),
		.symmetric = key->algorithm->type == KV_KEY_SECRET,
	};

	return info;
}

const KvKey *
kv_key_set_find(const KvKeySet *set, const char *id, size_t len)
{
	for (size_t i = 0; i < set->count; i++)
	{
		const json_t *own = set->keys[i].id;

		if (own != NULL && json_string_length(own) == len &&
			memcmp(json_string_value(own), id, len) == 0)
			return &set->keys[i];
	}
	return NULL;
}

const KvKey *
kv_key_set_key(const KvKeySet *set, size_t index)
{
	return &set->keys[index];
}
