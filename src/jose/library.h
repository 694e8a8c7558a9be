/*
 * library.h
 *		libjose and jansson, for this room only.
 */
#ifndef KV_JOSE_LIBRARY_H
#define KV_JOSE_LIBRARY_H

#if defined(__has_include) && !defined(__cppcheck__)
#if !__has_include(<jose/jws.h>)
#error "key_vault needs libjose: install the package libjose-dev (Debian) or libjose-devel (Fedora)"
#endif
#if !__has_include(<jansson.h>)
#error "key_vault needs jansson: install the package libjansson-dev (Debian) or jansson-devel (Fedora)"
#endif
#endif

#include <stdbool.h>
#include <stddef.h>

/* What inline functions of their headers call. */
#if !defined(KV_JOSE_LINKED)
#define json_delete kv_json_delete
#define json_object_set_new kv_json_object_set_new
#endif

#include <jansson.h>
#include <jose/jws.h>
#include <jose/openssl.h>

/*
 * Every function of theirs that this room calls.  They are looked up in the libraries, and
 * not linked: a server has functions of its own among its symbols, such as json_object(),
 * which would be taken for jansson's, by libjose, too.
 *
 * KV_JOSE_LINKED is for programs that have no such symbols and are linked with both: unit
 * tests and fuzz targets, whose allocator has to be jansson's, too.
 */
typedef struct KvLibrary
{
	__typeof__(&json_array_get) json_array_get;
	__typeof__(&json_array_size) json_array_size;
	__typeof__(&json_get_alloc_funcs) json_get_alloc_funcs;
	__typeof__(&json_integer_value) json_integer_value;
	__typeof__(&json_loadb) json_loadb;
	__typeof__(&json_object) json_object;
	__typeof__(&json_object_get) json_object_get;
	__typeof__(&json_pack) json_pack;
	__typeof__(&json_real_value) json_real_value;
	__typeof__(&json_set_alloc_funcs) json_set_alloc_funcs;
	__typeof__(&json_string) json_string;
	__typeof__(&json_string_length) json_string_length;
	__typeof__(&json_string_value) json_string_value;
	__typeof__(&json_stringn_nocheck) json_stringn_nocheck;
	__typeof__(&jose_cfg) jose_cfg;
	__typeof__(&jose_cfg_set_err_func) jose_cfg_set_err_func;
	__typeof__(&jose_jws_ver) jose_jws_ver;
	__typeof__(&jose_openssl_jwk_to_EVP_PKEY) jose_openssl_jwk_to_EVP_PKEY;
	/* what libjose frees, and what it allocates for us to free */
	void	   *(*malloc) (size_t size);
	void		(*free) (void *block);
	size_t		(*malloc_usable_size) (void *block);
} KvLibrary;

extern KvLibrary kv_library;

/* False when they are not there.  Once is enough; all else in this header comes after it. */
extern bool kv_library_load(void);

#if !defined(KV_JOSE_LINKED)
#define json_array_get (*kv_library.json_array_get)
#define json_array_size (*kv_library.json_array_size)
#define json_get_alloc_funcs (*kv_library.json_get_alloc_funcs)
#define json_integer_value (*kv_library.json_integer_value)
#define json_loadb (*kv_library.json_loadb)
#define json_object (*kv_library.json_object)
#define json_object_get (*kv_library.json_object_get)
#define json_pack (*kv_library.json_pack)
#define json_real_value (*kv_library.json_real_value)
#define json_set_alloc_funcs (*kv_library.json_set_alloc_funcs)
#define json_string (*kv_library.json_string)
#define json_string_length (*kv_library.json_string_length)
#define json_string_value (*kv_library.json_string_value)
#define json_stringn_nocheck (*kv_library.json_stringn_nocheck)
#define jose_cfg (*kv_library.jose_cfg)
#define jose_cfg_set_err_func (*kv_library.jose_cfg_set_err_func)
#define jose_jws_ver (*kv_library.jose_jws_ver)
#define jose_openssl_jwk_to_EVP_PKEY (*kv_library.jose_openssl_jwk_to_EVP_PKEY)
#endif

/*
 * What every call of libjose gets, so that it writes nothing to stderr.  NULL when there
 * is no memory for it.
 */
extern jose_cfg_t *kv_jose_quiet(void);

#endif							/* KV_JOSE_LIBRARY_H */
