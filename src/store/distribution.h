/*
 * distribution.h
 *		Whether the tables that Citus may distribute are distributed, and which node
 *		of a cluster this one is.
 */
#ifndef KV_DISTRIBUTION_H
#define KV_DISTRIBUTION_H

typedef enum KvDistribution
{
	KV_UNDISTRIBUTED,			/* the rows are here */
	KV_DISTRIBUTED_FROM_HERE,	/* on the coordinator: they are in shards */
	KV_DISTRIBUTED_FROM_ELSEWHERE	/* on a worker: calls are for the coordinator */
} KvDistribution;

/* Registers the callback that drops what is cached; once a process. */
extern void kv_distribution_init(void);

/*
 * How it is now, of secrets and usage together; from a cache that relcache messages drop, for
 * Citus sends one for each table whose distribution changes.  Nothing of Citus need be
 * installed.
 */
extern KvDistribution kv_distribution(void);

/* Whether the rows are in shards, and this node may ask for them. */
extern bool kv_is_distributed(void);

/*
 * For what touches the rows of users: on a worker the table has none, and what is written
 * to it is lost.  Errors: 0A000 there.
 */
extern void kv_distribution_refuse_worker(void);

#endif							/* KV_DISTRIBUTION_H */
