/*
 * require.h
 *		What must hold for every input of a fuzz target.
 */
#ifndef KV_REQUIRE_H
#define KV_REQUIRE_H

#include <stdio.h>
#include <stdlib.h>

/* Not assert, which NDEBUG turns off. */
#define require(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

#endif							/* KV_REQUIRE_H */
