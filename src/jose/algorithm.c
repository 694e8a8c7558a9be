/*
 * algorithm.c
 *		The signature algorithms that key_vault takes.
 */
#include <string.h>

#include "algorithm.h"

static const KvAlgorithm algorithms[] = {
	{"RS256", KV_KEY_RSA, 32, NULL, 0},
	{"RS384", KV_KEY_RSA, 48, NULL, 0},
	{"RS512", KV_KEY_RSA, 64, NULL, 0},
	{"PS256", KV_KEY_RSA, 32, NULL, 0},
	{"PS384", KV_KEY_RSA, 48, NULL, 0},
	{"PS512", KV_KEY_RSA, 64, NULL, 0},
	{"ES256", KV_KEY_EC, 32, "P-256", 32},
	{"ES384", KV_KEY_EC, 48, "P-384", 48},
	{"ES512", KV_KEY_EC, 64, "P-521", 66},
	{"HS256", KV_KEY_SECRET, 32, NULL, 0},
	{"HS384", KV_KEY_SECRET, 48, NULL, 0},
	{"HS512", KV_KEY_SECRET, 64, NULL, 0},
};

#define ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

/* A NUL inside the text makes it longer than any name. */
static int
same(const char *name, const char *text, size_t len)
{
	return strlen(name) == len && memcmp(name, text, len) == 0;
}

const KvAlgorithm *
kv_algorithm_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ALGORITHMS; i++)
		if (same(algorithms[i].name, name, len))
			return &algorithms[i];
	return NULL;
}

const KvAlgorithm *
kv_algorithm_of_curve(const char *curve, size_t len)
{
	for (size_t i = 0; i < ALGORITHMS; i++)
		if (algorithms[i].curve != NULL && same(algorithms[i].curve, curve, len))
			return &algorithms[i];
	return NULL;
}

const char *
kv_key_type_name(KvKeyType type)
{
	switch (type)
	{
		case KV_KEY_RSA:
			return "RSA";
		case KV_KEY_EC:
			return "EC";
		case KV_KEY_SECRET:
			return "oct";
	}
	return "unknown";
}
