/*
 * errors.h
 *		What messages are made of: SQLSTATEs, words for the status codes of the
 *		pure C, and what of an argument may be quoted.
 */
#ifndef KV_ERRORS_H
#define KV_ERRORS_H

#include "status.h"

/* SQLSTATEs that key_vault raises, by what they say (design: "SQL surface"). */
#define KV_ERRCODE_OTHER_USER ERRCODE_INSUFFICIENT_PRIVILEGE	/* 42501 */
#define KV_ERRCODE_UNKNOWN ERRCODE_UNDEFINED_OBJECT /* 42704 */
#define KV_ERRCODE_BAD_ARGUMENT ERRCODE_INVALID_PARAMETER_VALUE /* 22023 */
#define KV_ERRCODE_NO_ARGUMENT ERRCODE_NULL_VALUE_NOT_ALLOWED	/* 22004 */
#define KV_ERRCODE_TOKEN ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION	/* 28000 */
#define KV_ERRCODE_NOT_FOUND ERRCODE_NO_DATA_FOUND	/* P0002 */
#define KV_ERRCODE_STATE ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE	/* 55000 */
#define KV_ERRCODE_KEYRING ERRCODE_CONFIG_FILE_ERROR	/* F0000 */
#define KV_ERRCODE_AUDIT ERRCODE_IO_ERROR	/* 58030 */
#define KV_ERRCODE_SEALED ERRCODE_DATA_CORRUPTED	/* XX001 */

/* A sentence fragment without a full stop, for a detail: "its tag does not match". */
extern const char *kv_status_text(KvStatus status);

/*
 * A label as a message may quote it, palloc'd: a long one is cut, because
 * arguments in the wrong order make a key of it.
 */
extern char *kv_quotable_label(const text *label);

/* Errors: XX000 unless a digest or a random key was made. */
extern void kv_check_digest(KvStatus status);

#endif							/* KV_ERRORS_H */
