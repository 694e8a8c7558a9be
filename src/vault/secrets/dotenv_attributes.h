/*
 * dotenv_attributes.h
 *		The attributes that stand beside a key in the .env file, under development.
 *
 * The file has a variable for some attributes, which the provider says
 * (attribute_vars), and holds strings only.
 */
#ifndef KV_DOTENV_ATTRIBUTES_H
#define KV_DOTENV_ATTRIBUTES_H

#include "utils/jsonb.h"

#include "vault/secrets/secret_name.h"

/*
 * The attributes in the file as this transaction sees it, or NULL: none is there.
 * Errors: F0000 for a variable whose value cannot be told.
 */
extern Jsonb *kv_dotenv_attributes(const KvSecretTarget *target);

/* An attribute that the file cannot hold, palloc'd; NULL when it can hold all. */
extern char *kv_dotenv_attribute_without_variable(const KvSecretTarget *target,
												  Jsonb *attributes);

/*
 * From the end of the transaction on the file has these attributes and no others of the
 * provider's; NULL: none.  A NOTICE tells of those that are taken away without another
 * value.  The file can hold them.
 */
extern void kv_dotenv_attributes_change(const KvSecretTarget *target, Jsonb *attributes);

#endif							/* KV_DOTENV_ATTRIBUTES_H */
