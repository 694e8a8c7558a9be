/*
 * shared_ring.h
 *		Reads the ring of this database; what keyring_command prints, once for all its
 *		sessions.
 *
 * A command may be a KMS at the other end of the world.  A file is read by each session,
 * and without shared_preload_libraries so is a command.
 *
 * Readings have serials, by which a session tells whether another one has read later
 * than itself.  One that no other session can know of has serial 0.
 */
#ifndef KV_SHARED_RING_H
#define KV_SHARED_RING_H

#include "vault/roots/ring.h"

/* False when each session reads for itself, and all below is then as if it was alone. */
extern bool kv_shared_ring_is_shared(void);

/* The serial of the latest reading that was begun. */
extern uint64 kv_shared_ring_last_serial(void);

/*
 * Reads the ring, or takes what another session read: any reading that is later than
 * newer_than, which is 0 for all that there were since the configuration was loaded.
 * Waits while another one is at it, and can be cancelled.  A keyring is configured.  The
 * caller frees the ring, which holds a root key.  source tells in messages where the
 * text is from.
 *
 * Errors: F0000, also for those who waited for another session's reading.
 */
extern KvRing kv_shared_ring_read(const char *source, uint64 newer_than, uint64 *serial);

/* The same if that takes no reading and no waiting; otherwise false. */
extern bool kv_shared_ring_look(uint64 newer_than, KvRing *ring, uint64 *serial);

/*
 * Remembers that a reading which was made for the sake of a root key did not bring it;
 * and whether, for that one, a session has read a moment ago in vain.
 */
extern void kv_shared_ring_note_lack(uint64 serial, const uint8 id[KV_ROOT_KEY_ID_LEN]);
extern bool kv_shared_ring_lacks(const uint8 id[KV_ROOT_KEY_ID_LEN]);

#endif							/* KV_SHARED_RING_H */
