/*
 * statement.h
 *		SQL statements that are planned once a session.
 *
 * A statement's text names every relation, function and operator with its
 * schema, so that nobody's search_path can redirect it.  The text is known at
 * compile time; a statement is a static of the file that uses it.
 */
#ifndef KV_STATEMENT_H
#define KV_STATEMENT_H

#include "executor/spi.h"

#define KV_STATEMENT_MAX_ARGS 19

typedef struct KvStatement
{
	const char *sql;
	int			nargs;
	Oid			argtypes[KV_STATEMENT_MAX_ARGS];
	SPIPlanPtr	plan;			/* NULL until first run */
	bool		touches_users;	/* known with the plan: whether Citus may have its tables */
} KvStatement;

/* Registers the callbacks that drop what is cached; once a process. */
extern void kv_statement_init(void);

/*
 * The schemas key_vault and key_vault_data, which are the extension's own or, at least,
 * a superuser's: 55000 when one of them is not.  For looking up what is in them, and
 * asked before any statement runs.
 */
extern Oid	kv_schema(void);
extern Oid	kv_data_schema(void);

/* Who owns the extension. */
extern Oid	kv_extension_owner(void);

/* SPI_connect(), which cannot fail but says that it might. */
extern void kv_spi_connect(void);

/*
 * Runs a statement with a fresh snapshot and the caller's own rights.  SPI
 * must be connected.  Returns the number of rows processed; rows are in
 * SPI_tuptable.  limit 0 means all.  Errors are the statement's own, and 0A000 on a
 * worker of Citus that has the rows of users elsewhere.
 */
extern uint64 kv_statement_run(KvStatement *statement, Datum *values,
							   const char *nulls, long limit);

/*
 * The same as the extension's owner.  The one place in which key_vault changes
 * who is current: whoever calls it has checked the identity first, and the
 * caller is who they were when it returns, on success and on failure.  row_security
 * = off, of the session or its database, is of no effect.
 */
extern uint64 kv_statement_run_as_owner(KvStatement *statement, Datum *values,
										const char *nulls, long limit);

/* The same for one whose rows nobody asks for, connected to SPI for as long as it runs. */
extern uint64 kv_statement_run_alone_as_owner(KvStatement *statement, Datum *values);

/*
 * The same for a statement that wants a few rows of a large table, in the order of an
 * index.  The planner does not know how few: left alone, it might sort all that come
 * into question for each batch, and have the plan compiled, which takes a hundred times
 * as long as to run it.
 */
extern uint64 kv_statement_find_as_owner(KvStatement *statement, Datum *values,
										 const char *nulls, long limit);

/*
 * The same for a statement that only reads: it sees all that is committed, which
 * at REPEATABLE READ and above can be more than the transaction's snapshot shows.
 */
extern uint64 kv_statement_read_latest_as_owner(KvStatement *statement, Datum *values,
												const char *nulls, long limit);

/* The same for one that has to see every row: 42501 when a policy leaves rows out. */
extern uint64 kv_statement_read_whole_as_owner(KvStatement *statement, Datum *values,
											   const char *nulls, long limit);

/*
 * Until AtEOXact_GUC(true, result), plans go along the primary key, whatever the
 * statistics say, which a walk through all rows makes wrong: each batch must cost the
 * same.  A plan that cannot is not compiled for the costs that this gives it.
 */
extern int	kv_statement_keep_to_primary_key(void);

#endif							/* KV_STATEMENT_H */
