/*
 * library.h
 *		libjose and jansson, for this room only.
 */
#ifndef KV_JOSE_LIBRARY_H
#define KV_JOSE_LIBRARY_H

#if !__has_include(<jose/jws.h>)
#error "key_vault needs libjose: install the package libjose-dev (Debian) or libjose-devel (Fedora)"
#endif
#if !__has_include(<jansson.h>)
#error "key_vault needs jansson: install the package libjansson-dev (Debian) or jansson-devel (Fedora)"
#endif

#include <jansson.h>
#include <jose/jws.h>
#include <jose/openssl.h>

/*
 * What every call of libjose gets, so that it writes nothing to stderr.  NULL when there
 * is no memory for it.
 */
extern jose_cfg_t *kv_jose_quiet(void);

#endif							/* KV_JOSE_LIBRARY_H */
