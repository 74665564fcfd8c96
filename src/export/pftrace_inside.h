/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the files of the writer share; for nobody else. */
#ifndef EXPORT_PFTRACE_INSIDE_H
#define EXPORT_PFTRACE_INSIDE_H

#include "export/pftrace.h"
#include "export/pftrace.pb-c.h"
#include "export/pftrace_out.h"
#include "export/wire.h"

/* All literals of the program that name something in a trace; what finds no place is not interned. */
#define INTERNED_MAX 512

enum interned_kind {
	INTERNED_CATEGORY,
	INTERNED_EVENT,
	INTERNED_NOTE,
	INTERNED_KINDS,
};

struct interned {
	const char *literal; /* NULL: free */
	enum interned_kind kind;
	uint32_t iid;
};

struct pftrace {
	struct pftrace_options options;
	struct out out;
	uint64_t last_ns;     /* of what was written last */
	uint64_t clocks_ns;   /* of the last snapshot */
	uint64_t segment_ns;  /* of the first that happened in this segment; 0: nothing yet */
	uint64_t lost_before; /* packets, and readers were told */
	uint64_t boot_ahead;  /* BOOTTIME less MONOTONIC, as the file says */
	uint64_t real_ahead;  /* REALTIME less MONOTONIC, the same */
	uint32_t iids;	      /* given away in this segment */
	bool is_new_sequence; /* the next packet clears what a reader keeps */
	struct interned interned[INTERNED_MAX];
};

/* The parts of a record as a message, and where they are kept while it is packed. */
struct pftrace_message {
	Pftrace__Pfuse pfuse;
	Pftrace__Verdict verdicts[PFUSE_CONTROLS];
	Pftrace__Verdict *pointers[PFUSE_CONTROLS];
	Pftrace__Machine machine;
	Pftrace__Group group;
	Pftrace__Policy policy;
	Pftrace__Sample sample;
	Pftrace__Event event;
	Pftrace__Applied applied;
	Pftrace__Verdict applied_verdict;
	Pftrace__State state;
	Pftrace__Lost lost;
	Pftrace__Choose choose;
	Pftrace__Need need;
	Pftrace__Topology topology;
	Pftrace__CpusRules rules;
	Pftrace__CpusPolicy cpus_policy;
	Pftrace__CpusState cpus_state;
	uint8_t modes[FCB_RESOURCES];
};

/* Points into *record and *message, which must not be moved. */
void pftrace_pack(const struct pftrace_record *record, struct pftrace_message *message);

/* false: not a record as pftrace_record.h promises; *ret_why says in which way. */
bool pftrace_unpack(const Pftrace__Pfuse *pfuse, uint64_t time_ns, struct pftrace_record *ret,
		    const char **ret_why);

/* The same of what is about the split: pftrace_cpus.c. */
void pftrace_pack_cpus(const struct pftrace_record *record, struct pftrace_message *message);
bool pftrace_unpack_cpus(const Pftrace__Pfuse *pfuse, struct pftrace_record *ret);

/* The clocks, if they stand otherwise to each other than the file says: before times of BOOTTIME. */
void pftrace_note_clocks(struct pftrace *trace);

/* A packet of the sequence: puts what every packet has, and writes it. */
void pftrace_put(struct pftrace *trace, Pftrace__TracePacket *packet);

/*
 * The same by hand, of `most` bytes besides those: false, it is lost. time_ns 0: the packet has no time of its
 * own. Not the first of a sequence.
 */
bool pftrace_begin(struct pftrace *trace, uint64_t time_ns, size_t most, struct wire *ret);
void pftrace_end(struct pftrace *trace, const struct wire *wire);

#endif
