/* The kernel's half of the shield by nf_tables, the second choice: table inet ringwall, written by
 * the nft program. Batches are atomic; they run one at a time beside the owner, who looks now and
 * then whether one has ended and never waits. */
#ifndef IO_NFT_H
#define IO_NFT_H
#include "base/out.h"
#include <sys/types.h>

struct nft_run {  /* one nft at work */
    pid_t pid;    /* 0: none */
    int out, err; /* memfds of what it says */
};
const char *nft_program(void); /* its path; NULL: not installed */
/* Starts nft with that script on its standard input. ERR_STATE: one is at work. */
MUST_CHECK enum err nft_start(struct nft_run *r, struct str script);
/* ERR_AGAIN: still at work. Else it has ended: OK or ERR_SYSTEM, and ret_said has what it wrote to
 * its output (errors on failure), as much as fits. wait: until it ends. */
MUST_CHECK enum err nft_end(struct nft_run *r, bool wait, struct out *ret_said);
void nft_kill(struct nft_run *r);
#endif
