/*
 * access_rows.h
 *		What the levels of access consist of, granted and revoked.
 */
#ifndef KV_ACCESS_ROWS_H
#define KV_ACCESS_ROWS_H

typedef enum KvRightKind
{
	KV_RIGHT_SCHEMA,			/* USAGE */
	KV_RIGHT_RELATION,			/* SELECT */
	KV_RIGHT_ROUTINE,			/* EXECUTE */
	KV_RIGHT_PARAMETER			/* SET */
} KvRightKind;

/* One right on one object.  The names need no quotes, and a routine no arguments. */
typedef struct KvRight
{
	KvRightKind kind;
	const char *schema;			/* NULL for a parameter */
	const char *name;			/* NULL for a schema */
} KvRight;

typedef enum KvRightState
{
	KV_RIGHT_NO_OBJECT,			/* the extension's version has no such object */
	KV_RIGHT_NOT_HELD,
	KV_RIGHT_HELD
} KvRightState;

/* As GRANT spells it, palloc'd: "SELECT ON TABLE key_vault.providers". */
extern char *kv_right_text(const KvRight *right);

/* Whether the role was itself granted the right: what comes by membership does not count. */
extern KvRightState kv_right_state(Oid role, const KvRight *right);

/* Plain GRANT and REVOKE, with the caller's rights. */
extern void kv_right_grant(const char *role, const KvRight *right);
extern void kv_right_revoke(const char *role, const KvRight *right);

#endif							/* KV_ACCESS_ROWS_H */
