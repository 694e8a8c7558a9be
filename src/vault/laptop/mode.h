/*
 * mode.h
 *		Development or production.
 *
 * Decided by key_vault.mode, and when that is auto by DEBUG and DEPLOY_ENV:
 * development when DEBUG is "true" in any case, or when DEPLOY_ENV is not set
 * (an empty one is set).  Each is read from the server's environment, then from
 * the .env file.  Without a .env file there is no development mode.
 */
#ifndef KV_MODE_H
#define KV_MODE_H

typedef struct KvMode
{
	bool		development;
	bool		by_absence;		/* only because DEPLOY_ENV is not set */
	const char *reason;			/* a clause without a full stop */
} KvMode;

/*
 * The mode now.  In auto the .env file is opened only when the environment does
 * not decide alone.  Errors: F0000 when the file is needed and cannot be read.
 */
extern KvMode kv_mode(void);

/* The same, for those who need no reason. */
extern bool kv_mode_is_development(void);

#endif							/* KV_MODE_H */
