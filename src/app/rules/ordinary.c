/* What the messages of an ordinary day are full of: nothing to look for rules by. */
#include "app/rules/build.h"

static const char ordinary[] =
    "invite sip:bob@example.com;user=phone sip/2.0\r\nregister sip: options ack bye cancel "
    "subscribe notify message prack update info publish refer\r\n"
    "via: sip/2.0/udp 192.0.2.1:5060;branch=z9hg4bk74bf9;rport;received=\r\n"
    "via: sip/2.0/tcp 198.51.100.2:5061;branch=z9hg4bk-\r\nvia: sip/2.0/tls 10.0.0.1\r\n"
    "max-forwards: 70\r\nfrom: \"alice\" <sip:alice@example.com>;tag=9fxced76sl\r\n"
    "to: \"bob\" <sip:bob@example.com>;tag=\r\ncall-id: 3848276298220188511@192.0.2.1\r\n"
    "cseq: 2 invite\r\ncontact: <sip:alice@192.0.2.1:5060;transport=udp>;expires=3600\r\n"
    "allow: invite, ack, cancel, bye, options, update, prack, info, refer, notify\r\n"
    "supported: 100rel, timer, replaces, outbound, path, gruu\r\nrequire: timer\r\n"
    "session-expires: 1800;refresher=uac\r\nmin-se: 90\r\nuser-agent: phone/1.0\r\nserver: \r\n"
    "accept: application/sdp\r\naccept-language: en\r\nrecord-route: <sip:198.51.100.1;lr>\r\n"
    "route: <sip:\r\np-asserted-identity: \r\nprivacy: none\r\ndate: sat, 13 nov 2010 23:29:00 gmt"
    "\r\nauthorization: digest username=\"alice\", realm=\"example.com\", nonce=\"\", uri=\"sip:\","
    " response=\"0123456789abcdef\", algorithm=md5, cnonce=\"\", qop=auth, nc=00000001\r\n"
    "sip/2.0 200 ok\r\nsip/2.0 401 unauthorized\r\nwww-authenticate: digest\r\n"
    "content-type: application/sdp\r\ncontent-length: 194\r\n\r\nv=0\r\n"
    "o=alice 1 1 in ip4 192.0.2.1\r\ns=-\r\nc=in ip4 192.0.2.1\r\nt=0 0\r\n"
    "m=audio 49170 rtp/avp 0 8 101\r\na=rtpmap:0 pcmu/8000\r\na=rtpmap:8 pcma/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\na=ptime:20\r\n";
const struct str RULE_ORDINARY = {ordinary, sizeof ordinary - 1};

int rule_rarity(struct str s)
{
    bool there = str_search(RULE_ORDINARY, s) < RULE_ORDINARY.n;
    if (there && s.n <= 3)
        return -1;
    return 4 * (int)MIN(s.n, 16u) + (there ? 0 : 60);
}
