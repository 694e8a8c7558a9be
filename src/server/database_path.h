/*
 * database_path.h
 *		Paths with the database's name in them: %d stands for it, %% for a per cent.
 *
 * A database may have a name that leads elsewhere, and who may create databases
 * chooses it: such names are refused, here and for whoever else makes a path of one.
 */
#ifndef KV_DATABASE_PATH_H
#define KV_DATABASE_PATH_H

/* True when each per cent of the pattern is part of %d or %%. */
extern bool kv_database_path_is_valid(const char *pattern);

/* True when the path differs from database to database. */
extern bool kv_database_path_has_name(const char *pattern);

/*
 * The name of this session's database, palloc'd.  It can change on a hot standby
 * only, where sessions outlive a rename.
 *
 * Errors: F0000 for one with a slash in it, and for "." and "..".
 */
extern char *kv_database_name(void);

/* The path in this database, palloc'd.  Errors: as above, and F0000 when it is not valid. */
extern char *kv_database_path(const char *pattern);

/*
 * A shell's word for the path, in double quotes; the name comes from the environment
 * variable.  palloc'd.  The pattern is valid.
 */
extern char *kv_database_path_for_shell(const char *pattern, const char *variable);

#endif							/* KV_DATABASE_PATH_H */
