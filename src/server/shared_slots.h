/*
 * shared_slots.h
 *		What one session of a database got with much trouble, for the others to take.
 *
 * There are slots when the library is in shared_preload_libraries: a few pages that the
 * postmaster shares with whom it forks, never swapped out, in no core dump, and wiped
 * when the server stops.  A slot belongs to one database.  What is in it is not known
 * here, nor how it is got.
 *
 * Of the sessions that want the same, one is told to ask for all, and the others wait
 * for it; no lock is held meanwhile.  What was asked for before a reload of the
 * configuration is given to nobody after it.
 */
#ifndef KV_SHARED_SLOTS_H
#define KV_SHARED_SLOTS_H

/* What is longer each session has to get for itself. */
#define KV_SLOT_BYTES 2560

typedef struct KvSlotWish
{
	const char *database_name;	/* of this database, which may have had another one */
	uint64		source;			/* stands for where it comes from */
	uint64		newer_than;		/* only what was asked for after that serial */
} KvSlotWish;

typedef enum KvSlotVerdict
{
	KV_SLOT_NONE,				/* nothing there */
	KV_SLOT_FOUND,				/* bytes and len are filled in */
	KV_SLOT_FAILED,				/* who asked for all failed: see failure */
	KV_SLOT_ASK_FOR_ALL,		/* and then end it, in one of the three ways below */
	KV_SLOT_ASK_FOR_ONESELF
} KvSlotVerdict;

/* Why there is nothing: an error's texts, cut where they are too long. */
typedef struct KvSlotFailure
{
	char		message[256];
	char		detail[256];	/* empty: none */
	char		hint[256];		/* empty: none */
} KvSlotFailure;

typedef struct KvSlotAnswer
{
	uint64		serial;			/* of the asking, the caller's own too; 0: no slots */
	void	   *bytes;			/* the caller's, locked, KV_SLOT_BYTES */
	Size		len;
	KvSlotFailure failure;
} KvSlotAnswer;

/* When the server loads the library. */
extern void kv_slots_init(void);

/* When the configuration is read anew.  Does something in the postmaster only. */
extern void kv_slots_outdate(void);

/* Wipes what is outdated, of any database. */
extern void kv_slots_wipe_outdated(void);

extern bool kv_slots_exist(void);

/* The latest serial: newer_than it is what nobody has begun to ask for yet. */
extern uint64 kv_slots_last_serial(void);

/* KV_SLOT_FOUND or KV_SLOT_NONE: what is there already. */
extern KvSlotVerdict kv_slot_look(const KvSlotWish *wish, KvSlotAnswer *answer);

/*
 * Any verdict but KV_SLOT_NONE.  Waits for who asks already, and can be cancelled then.
 * Nothing may be thrown between KV_SLOT_ASK_FOR_ALL and the cleanup that ends it.
 */
extern KvSlotVerdict kv_slot_get(const KvSlotWish *wish, KvSlotAnswer *answer);

/*
 * The end of asking for all: with what was got, with what who waited is told, or with
 * nothing, so that another of them asks.  Without effect when it has ended.
 */
extern void kv_slot_publish(uint64 serial, const void *bytes, Size len);
extern void kv_slot_fail(uint64 serial, const KvSlotFailure *failure);
extern void kv_slot_abandon(uint64 serial);

/*
 * Remembers that what was got with that serial lacks something, by a name of 8 bytes;
 * and whether that is so of what was got within the last so many milliseconds.
 */
extern void kv_slot_note_lack(uint64 serial, const uint8 name[8]);
extern bool kv_slot_lacks(const KvSlotWish *wish, const uint8 name[8], int within_ms);

#endif							/* KV_SHARED_SLOTS_H */
