/*
 * secret_name.h
 *		From the arguments of a call to the secret that they name.
 */
#ifndef KV_SECRET_NAME_H
#define KV_SECRET_NAME_H

#include "store/secret_rows.h"
#include "vault/providers/providers.h"

/* A call's arguments as they came; each may be NULL. */
typedef struct KvSecretArgs
{
	text	   *user_id;		/* NULL: the identity */
	text	   *provider;
	text	   *label;
} KvSecretArgs;

/*
 * What they name, checked in this order: user, provider, label.  The provider's
 * own name and variable are copies: the list of providers may be read anew
 * while the call goes on.
 */
typedef struct KvSecretTarget
{
	KvSecretName name;			/* user_id is NULL for the .env file alone */
	const KvProvider *provider; /* good until the first look at a table */
	bool		development;	/* get looks into the .env file first */
	char	   *variable;		/* in the .env file, or NULL: not this one */
	KvAttributeVariable *attribute_vars;	/* beside it */
	int			attribute_var_count;
} KvSecretTarget;

/*
 * Errors: identity.h's and providers.h's; 22004 for no user in production, and
 * for a label that is NULL; 22023 for a bad label.
 */
extern KvSecretTarget kv_secret_target(const KvSecretArgs *args);

/*
 * The same, of what is stored under the very spelling of the call, without a look at
 * the providers: rows have their registered names.  What is not found there may still
 * be found by kv_secret_target().
 *
 * False in development, where this database has providers of its own (they may make a
 * name another's alias, or hide it), and where an argument is missing.  A bad one is not found.
 * Errors: identity.h's; 22004 for no user.
 */
extern bool kv_secret_as_spelled(const KvSecretArgs *args, KvSecretName *name);

/*
 * The user of a call that names no secret, or NULL for the .env file alone,
 * which is only in development.  Errors: as above.
 */
extern text *kv_secret_user(text *user_id);

/* Whether it is "default", which the .env file's variables stand for. */
extern bool kv_label_is_default(const text *label);

/* Whether the row's time is over, by the clock. */
extern bool kv_secret_row_is_expired(const KvSecretRow *row);

#endif							/* KV_SECRET_NAME_H */
