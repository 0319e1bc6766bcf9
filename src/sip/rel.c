#include "sip/rel.h"
#include "sip/trans.h"

bool rel_required(const struct sip_msg *m)
{
    return sip_list_has(m, HDR_REQUIRE, STR("100rel"));
}

bool rel_supported(const struct sip_msg *m)
{
    return rel_required(m) || sip_list_has(m, HDR_SUPPORTED, STR("100rel"));
}

void rel_uas_init(struct rel_uas *r, uint32_t invite_cseq, uint32_t first_rseq)
{
    DCHECK(first_rseq >= 1 && first_rseq < 1u << 31);
    *r = (struct rel_uas){.rseq = first_rseq - 1, .cseq = invite_cseq};
}

enum err rel_uas_send(struct rel_uas *r, struct instant now, uint32_t *ret_rseq)
{
    if (r->waiting)
        return ERR_STATE;
    r->waiting = true;
    r->interval_ms = TRANS_T1_MS;
    r->due = instant_add(now, DUR_MS(TRANS_T1_MS));
    r->give_up = instant_add(now, DUR_MS(64 * TRANS_T1_MS));
    *ret_rseq = ++r->rseq;
    return OK;
}

void rel_rseq_put(struct out *o, uint32_t rseq)
{
    sip_put(o, HDR_REQUIRE, STR("100rel"));
    sip_put_u32(o, HDR_RSEQ, rseq);
}

enum reason rel_uas_prack(struct rel_uas *r, const struct sip_msg *prack, bool *ret_fresh)
{
    struct sip_rack rack;
    if (!sip_has(prack, HDR_RACK))
        return REASON_sip_header_missing;
    if (sip_rack_parse(sip_get(prack, HDR_RACK), &rack) != OK)
        return REASON_sip_header_syntax;
    if (rack.rseq != r->rseq || rack.cseq != r->cseq || !str_eq(rack.method, STR("INVITE")))
        return REASON_sip_no_transaction;
    *ret_fresh = r->waiting;
    r->waiting = false;
    return REASON_NONE;
}

enum rel_tick rel_uas_tick(struct rel_uas *r, struct instant now)
{
    if (!r->waiting || instant_before(now, r->due))
        return REL_WAIT;
    if (!instant_before(now, r->give_up)) {
        r->waiting = false;
        return REL_GIVE_UP;
    }
    r->interval_ms *= 2;
    r->due = instant_add(now, DUR_MS(r->interval_ms));
    if (instant_before(r->give_up, r->due))
        r->due = r->give_up;
    return REL_RESEND;
}

void rel_uas_stop(struct rel_uas *r)
{
    r->waiting = false;
}

enum rel_in rel_uac_in(struct rel_uac *r, const struct sip_msg *m, uint32_t *ret_rseq)
{
    uint32_t rseq;
    bool reliable = m->code > 100 && m->code < 200 && rel_required(m) && sip_has(m, HDR_RSEQ) &&
                    str_u32(sip_get(m, HDR_RSEQ), UINT32_MAX, &rseq) == OK;
    if (!reliable)
        return REL_NO;
    if (r->have && rseq <= r->rseq)
        return REL_AGAIN;
    if (r->have && rseq != r->rseq + 1)
        return REL_GAP;
    *r = (struct rel_uac){rseq, true};
    *ret_rseq = rseq;
    return REL_NEW;
}

void rel_rack_put(struct out *o, uint32_t rseq, uint32_t invite_cseq)
{
    sip_begin(o, HDR_RACK);
    out_u64(o, rseq);
    out_ch(o, ' ');
    out_u64(o, invite_cseq);
    OUT_LIT(o, " INVITE");
    sip_eol(o);
}
