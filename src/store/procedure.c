/*
 * procedure.c
 *		Transactions within a procedure.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "tcop/pquery.h"

#include "store/procedure.h"

void
kv_procedure_begin(void)
{
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not connect to SPI")));
}

void
kv_procedure_commit(void)
{
	SPI_commit();

	/* Before the first snapshot: in higher ones, a concurrent write would be an error */
	XactIsoLevel = XACT_READ_COMMITTED;
	/* Long values are fetched from TOAST between the statements, too */
	EnsurePortalSnapshotExists();
}

void
kv_procedure_end(void)
{
	SPI_finish();
}
