/*
 * library.c
 *		Loads libjose, and jansson with it, so that they find their own functions first.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE				/* RTLD_DEEPBIND */
#endif
#include <dlfcn.h>

#include "library.h"

#define LIBRARY "libjose.so.0"

KvLibrary	kv_library;

static void (*delete_json) (json_t *json);
static int	(*set_new_member) (json_t *object, const char *name, json_t *value);

/* A function, and where its address goes. */
typedef struct Symbol
{
	const char *name;
	void	   *place;
} Symbol;

/* The names are the functions' own again. */
#undef json_array_get
#undef json_array_size
#undef json_get_alloc_funcs
#undef json_integer_value
#undef json_loadb
#undef json_object
#undef json_object_get
#undef json_pack
#undef json_real_value
#undef json_set_alloc_funcs
#undef json_string
#undef json_string_length
#undef json_string_value
#undef json_stringn_nocheck
#undef jose_cfg
#undef jose_cfg_set_err_func
#undef jose_jws_ver
#undef jose_openssl_jwk_to_EVP_PKEY

#define SYMBOL(function) {#function, &kv_library.function}

static const Symbol symbols[] = {
	SYMBOL(json_array_get),
	SYMBOL(json_array_size),
	SYMBOL(json_get_alloc_funcs),
	SYMBOL(json_integer_value),
	SYMBOL(json_loadb),
	SYMBOL(json_object),
	SYMBOL(json_object_get),
	SYMBOL(json_pack),
	SYMBOL(json_real_value),
	SYMBOL(json_set_alloc_funcs),
	SYMBOL(json_string),
	SYMBOL(json_string_length),
	SYMBOL(json_string_value),
	SYMBOL(json_stringn_nocheck),
	SYMBOL(jose_cfg),
	SYMBOL(jose_cfg_set_err_func),
	SYMBOL(jose_jws_ver),
	SYMBOL(jose_openssl_jwk_to_EVP_PKEY),
	SYMBOL(malloc),
	SYMBOL(free),
	SYMBOL(malloc_usable_size),
	{"json_delete", &delete_json},
	{"json_object_set_new", &set_new_member}
};

bool
kv_library_load(void)
{
	static bool is_loaded = false;
	void	   *handle = RTLD_DEFAULT;

	if (is_loaded)
		return true;
#if !defined(KV_JOSE_LINKED)
	handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	if (handle == NULL)
		return false;
#endif
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
	{
		void	   *address = dlsym(handle, symbols[i].name);

		if (address == NULL)
			return false;
		*(void **) symbols[i].place = address;
	}
	is_loaded = true;
	return true;
}

void
kv_json_delete(json_t *json)
{
	delete_json(json);
}

int
kv_json_object_set_new(json_t *object, const char *name, json_t *value)
{
	return set_new_member(object, name, value);
}
