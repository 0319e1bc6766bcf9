/* The words of the command line, and the help. */
#include "app/cli/cli.h"
#include <getopt.h>
#include <unistd.h>

#define STATE_DEFAULT "/var/lib/ringwall"

enum opt {
    O_STATE = 1,
    O_CONFIG,
    O_JSON,
    O_HELP,
    O_LAST,
    O_CALL_ID,
    O_USER,
    O_SINCE,
    O_UNTIL,
    O_AOR,
    O_ROLE,
    O_MD5_OWNER,
    O_MD5_REASON,
    O_MD5_EXPIRES,
    O_DOMAIN,
    O_PBX,
    O_OWNER,
    O_NAME,
    O_PROGRAMS,
    O_READY_FD,
    O_STDIN,
    O_ANY,
    O_OFF,
    O_QUIET,
    O_LIVE,
    O_ABORTED,
    O_NO_WAIT,
    O_DRAIN,
    O_VERBOSE,
    O_VERSION,
    O_AGAINST,
    O_EVE,
    O_ONCE,
    O_SCOPE,
    O_BY,
    O_FOR,
    O_WHY,
    O_TREAT,
    O_SID,
    O_DETECTOR,
    O_SITE,
    O_NUMBER,
    O_MUST_CHANGE,
    O_FACTOR,
    O_REGENERATE,
    O_FORMAT,
    O_OUT,
    O_DAYS,
    O_REASON,
    O_AS,
    O_TO,
    O_AT,
    O_COUNTRY
};
static const struct option OPTIONS[] = {
    {"state", required_argument, NULL, O_STATE},
    {"config", required_argument, NULL, O_CONFIG},
    {"json", no_argument, NULL, O_JSON},
    {"help", no_argument, NULL, O_HELP},
    {"last", required_argument, NULL, O_LAST},
    {"call-id", required_argument, NULL, O_CALL_ID},
    {"user", required_argument, NULL, O_USER},
    {"since", required_argument, NULL, O_SINCE},
    {"until", required_argument, NULL, O_UNTIL},
    {"aor", required_argument, NULL, O_AOR},
    {"role", required_argument, NULL, O_ROLE},
    {"md5-waiver-owner", required_argument, NULL, O_MD5_OWNER},
    {"md5-waiver-reason", required_argument, NULL, O_MD5_REASON},
    {"md5-waiver-expires", required_argument, NULL, O_MD5_EXPIRES},
    {"domain", required_argument, NULL, O_DOMAIN},
    {"pbx", required_argument, NULL, O_PBX},
    {"owner", required_argument, NULL, O_OWNER},
    {"name", required_argument, NULL, O_NAME},
    {"programs", required_argument, NULL, O_PROGRAMS},
    {"ready-fd", required_argument, NULL, O_READY_FD},
    {"password-stdin", no_argument, NULL, O_STDIN},
    {"any-password", no_argument, NULL, O_ANY},
    {"off", no_argument, NULL, O_OFF},
    {"quiet", no_argument, NULL, O_QUIET},
    {"live", no_argument, NULL, O_LIVE},
    {"aborted", no_argument, NULL, O_ABORTED},
    {"no-wait", no_argument, NULL, O_NO_WAIT},
    {"drain", no_argument, NULL, O_DRAIN},
    {"verbose", no_argument, NULL, O_VERBOSE},
    {"version", no_argument, NULL, O_VERSION},
    {"against", required_argument, NULL, O_AGAINST},
    {"eve", required_argument, NULL, O_EVE},
    {"once", no_argument, NULL, O_ONCE},
    {"scope", required_argument, NULL, O_SCOPE},
    {"by", required_argument, NULL, O_BY},
    {"for", required_argument, NULL, O_FOR},
    {"why", required_argument, NULL, O_WHY},
    {"treat", required_argument, NULL, O_TREAT},
    {"sid", required_argument, NULL, O_SID},
    {"detector", required_argument, NULL, O_DETECTOR},
    {"site", required_argument, NULL, O_SITE},
    {"number", required_argument, NULL, O_NUMBER},
    {"must-change", required_argument, NULL, O_MUST_CHANGE},
    {"second-factor", required_argument, NULL, O_FACTOR},
    {"regenerate", no_argument, NULL, O_REGENERATE},
    {"format", required_argument, NULL, O_FORMAT},
    {"out", required_argument, NULL, O_OUT},
    {"days", required_argument, NULL, O_DAYS},
    {"reason", required_argument, NULL, O_REASON},
    {"as", required_argument, NULL, O_AS},
    {"to", required_argument, NULL, O_TO},
    {"at", required_argument, NULL, O_AT},
    {"country", required_argument, NULL, O_COUNTRY},
    {NULL, 0, NULL, 0}};
__extension__ typedef unsigned __int128 options_t;
#define OPTIONS_MAX 128
#define BIT(o)      ((options_t)1 << (o))
#define ASKS        (BIT(O_STATE) | BIT(O_CONFIG) | BIT(O_JSON) | BIT(O_REASON))

struct command {
    const char *name;
    command_fn *run;
    unsigned min_words, max_words;
    options_t options;
    const char *usage, *what, *more; /* words after the name; one line; the rest of the help */
};
static const struct command COMMANDS[] = {
    {"init", cmd_init, 0, 0,
     BIT(O_STATE) | BIT(O_DOMAIN) | BIT(O_PBX) | BIT(O_OWNER) | BIT(O_NAME) | BIT(O_USER) |
         BIT(O_PROGRAMS) | BIT(O_COUNTRY),
     "[--state DIR] [--domain D] [--name HOST]... [--user U]... [--country DE] [--pbx IP:PORT] "
     "[--owner WHO]",
     "make a state folder: authority, certificate, configuration, users",
     "Makes DIR with a local certificate authority (DIR/ca.pem, for the phones), a server "
     "certificate for the\n"
     "domain and this machine's names and addresses, and DIR/ringwall.yaml: phones by TLS and SRTP "
     "on port 5061,\n"
     "a plain PBX on this machine by a waiver of 90 days. Nothing that is there is overwritten.\n\n"
     "  --domain D     served SIP domain. Without it: a trial for \"localhost\" with the users "
     "alice and bob\n"
     "  --name HOST    one more host name or address for the certificate; repeat\n"
     "  --user U       make this user; the password is shown once; repeat\n"
     "  --country CC   where the phones are, two letters: by it numbers are known as national, "
     "abroad, dear\n"
     "  --pbx ADDR     address of the plain PBX (127.0.0.1:5070)\n"
     "  --owner WHO    who answers for the PBX's waiver (operator)\n"},
    {"check", cmd_check, 0, 1, ASKS, "[FILE] [--json]",
     "judge a configuration: every problem at once",
     "Prints each problem as FILE:LINE:COLUMN with a hint. Warnings (something will be refused) "
     "leave the exit\n"
     "code 0; errors make it 1. FILE is DIR/ringwall.yaml if left out.\n"},
    {"run", cmd_run, 0, 0,
     BIT(O_STATE) | BIT(O_CONFIG) | BIT(O_QUIET) | BIT(O_PROGRAMS) | BIT(O_READY_FD),
     "[--config FILE] [--state DIR] [--quiet]",
     "run the gateway until SIGTERM, SIGINT or `ringwall stop`",
     "SIGHUP or `ringwall reload` takes a changed configuration; a bad one is told and the old one "
     "stays.\n\n"
     "  --config FILE    DIR/ringwall.yaml if left out\n"
     "  --quiet          only warnings and errors\n"
     "  --programs DIR   where ringwall-engine, -vault and -store are\n"
     "  --ready-fd N     writes a newline there when all programs run\n"},
    {"status", cmd_status, 0, 0, ASKS, "[--json]",
     "programs, listeners, waivers, counters of the running gateway", ""},
    {"calls", cmd_calls, 0, 0, ASKS, "[--json]", "running calls with their legs and crypto", ""},
    {"bindings", cmd_bindings, 0, 1, ASKS | BIT(O_AOR) | BIT(O_LAST), "[TEXT] [--json]",
     "registered phones",
     "TEXT (or --aor TEXT) shows those whose user holds it; --last N at most N.\n"},
    {"peers", cmd_peers, 0, 0, ASKS, "[--json]",
     "PBXs and trunks, and which of their addresses answer", ""},
    {"cdr", cmd_cdr, 0, 2,
     ASKS | BIT(O_LAST) | BIT(O_CALL_ID) | BIT(O_USER) | BIT(O_SINCE) | BIT(O_UNTIL) |
         BIT(O_ABORTED) | BIT(O_QUIET),
     "[--last N] [--call-id ID] [--user TEXT] [--since WHEN] [--aborted] [--json] | export [FILE] "
     "[--user NAME]\n                  [--since WHEN] [--until WHEN] [--json]",
     "call detail records, newest first; or all of them as CSV",
     "  --last N       at most N (20)\n"
     "  --call-id ID   of either leg\n"
     "  --user TEXT    authenticated user, or part of caller or callee\n"
     "  --since WHEN   2h, 30m, 2026-11-18 or \"2026-11-18 10:15\"\n"
     "  --aborted      only calls that ended because a program died\n\n"
     "  export [FILE]  oldest first, as CSV, with --json as JSON lines; \"-\" is standard output. "
     "The\n"
     "                 columns are described in docs/cdr.md\n"},
    {"explain", cmd_explain, 0, 1, ASKS | BIT(O_AS) | BIT(O_TO) | BIT(O_AT),
     "CALL-ID|ADDRESS|USER|NUMBER | --as USER --to NUMBER [--at TIME] [--json]",
     "what became of a request, gate by gate; what is known of an address, user or number",
     "CALL-ID: accepted and refused requests of the last 16384 are known in full; refused ones and "
     "calls from the\ndatabase.\n"
     "ADDRESS, USER (alice, alice@example.com) or NUMBER: bans, scores and what fired, the newest "
     "alerts and\nrefusals, registrations.\n\n"
     "  --as USER --to NUMBER   would that call go? Gates, class and country of the number, route, "
     "price, caps,\n"
     "                          and what in the configuration decides. USER may be a peer's name\n"
     "  --at TIME               then, \"2026-11-18 22:15\", instead of now\n"},
    {"fraud", cmd_fraud, 0, 2, ASKS | BIT(O_AGAINST) | BIT(O_QUIET),
     "[status] | caps [NAME] | explain NAME | locks | release NAME --reason TEXT | replay CDRS.csv",
     "what calls have cost, who is locked, and what would have been stopped in a history",
     "status          money and calls of all against their caps; signs and acts of behaviour\n"
     "caps NAME       the same of a user (alice@example.com), a role or a trunk\n"
     "explain NAME    besides, what is usual for a user, and what was odd last\n"
     "locks           who makes no calls to the outside\n"
     "release NAME    lets somebody call again; a reason is wanted\n"
     "replay FILE     rights, caps and behaviour over records of `ringwall cdr export`; needs no "
     "gateway\n\n"
     "  --config FILE    of replay: roles, rates, caps, fraud of this configuration\n"
     "  --against FILE   of replay: a second one over the same records\n"
     "  --quiet          no progress\n\n"
     "A column \"label\" (fraud, or anything else for honest) has found and false alarms "
     "counted.\n"},
    {"bans", cmd_bans, 0, 3,
     ASKS | BIT(O_SCOPE) | BIT(O_BY) | BIT(O_DETECTOR) | BIT(O_LAST) | BIT(O_FOR) | BIT(O_WHY) |
         BIT(O_TREAT),
     "[list [ADDRESS|TEXT]] | show ID | add WHO | release WHO [--json]",
     "who is banned, why and until when; ban and release by hand",
     "  list [WHO]      newest first; --scope source|pair|aor|device|number, --by "
     "detector|rule|feed|admin,\n"
     "                  --last N at most N (200). What feeds name is listed with --by feed or an "
     "address\n"
     "  show ID         all of one, with the message that was the last straw\n"
     "  add WHO         an address, a prefix (198.51.100.0/24, 2001:db8::/64), a user "
     "(alice@example.com), a\n"
     "                  number (+49301234); ADDRESS USER: the user there only\n"
     "      --for 2h    s, m, h, d; without it: until released\n"
     "      --why TEXT  at most 95 characters\n"
     "      --treat T   challenge, tarpit, refuse, drop, lock, ban (source), kick\n"
     "  release WHO     a ban's number, or whom it is for; --by or --detector: all of those\n\n"
     "Peers, the gateway's own addresses and guard.exempt cannot be banned. Emergency calls pass "
     "every ban.\n"},
    {"alerts", cmd_alerts, 0, 2,
     ASKS | BIT(O_LAST) | BIT(O_AOR) | BIT(O_DETECTOR) | BIT(O_SID) | BIT(O_CALL_ID),
     "[ADDRESS] [--last N] [--aor TEXT] [--detector NAME] [--sid N] [--call-id ID] | evidence ID",
     "what signatures and detectors found, newest first",
     "  --last N         at most N (20)\n"
     "  --aor TEXT       in caller or callee\n"
     "  evidence ID      the kept message of an alert or ban, without credentials and keys\n"},
    {"events", cmd_events, 0, 0, ASKS | BIT(O_LAST), "[--last N] [--json]",
     "newest lines of the event log", ""},
    {"reasons", cmd_reasons, 0, 1, ASKS | BIT(O_LIVE), "[NAME] [--live] [--json]",
     "every named refusal and what it means",
     "  --live   only those that the running gateway has counted\n"},
    {"user", cmd_user, 1, 3,
     ASKS | BIT(O_ROLE) | BIT(O_MD5_OWNER) | BIT(O_MD5_REASON) | BIT(O_MD5_EXPIRES) | BIT(O_STDIN) |
         BIT(O_ANY) | BIT(O_DOMAIN) | BIT(O_PROGRAMS) | BIT(O_SITE) | BIT(O_NUMBER) |
         BIT(O_MUST_CHANGE) | BIT(O_FACTOR) | BIT(O_REGENERATE) | BIT(O_FORMAT),
     "add|set|passwd|del|role|md5|list|import [USER] [ROLE]", "users and their passwords",
     "  add USER        prints a strong password once, unless --password-stdin; --role R (user)\n"
     "  set USER        with --role, --site, --number, --must-change, --second-factor: only these "
     "change\n"
     "  passwd USER     the same for a user who is there\n"
     "  del USER        ends the user; bindings end with their next refresh\n"
     "  role USER ROLE  another role\n"
     "  md5 USER        with --md5-waiver-...: may use MD5 until then, new password; without: ends "
     "that\n"
     "  list [TEXT]\n"
     "  import FILE     only while the gateway does not run; --any-password takes weak ones\n"
     "  --format F      of import: csv (lines USER,PASSWORD), asterisk (pjsip.conf, sip.conf), "
     "kamailio\n"
     "                  (subscriber: USER,DOMAIN,PASSWORD,HA1)\n"
     "  --regenerate    import: a new password, shown once, where one is not fit or only a hash\n\n"
     "  --md5-waiver-owner WHO --md5-waiver-reason WHY --md5-waiver-expires 2027-06-30\n"
     "                  for a phone that knows only MD5. Named, and over on that day\n"
     "  --site S          add, set: whose dial plan, hours and holidays are the user's\n"
     "  --number +49...   add, set: a number of the user, up to 16; the first is shown to those "
     "called;\n"
     "                    set: these instead of all that were; --number none: no number\n"
     "  --must-change yes|no    only emergency calls until `passwd` gave a new password\n"
     "  --second-factor yes|no  new devices of the user wait for approval\n"
     "  --password-stdin  one line of standard input is the password\n\n"
     "USER without @ is of the first domain. Works with and without a running gateway. Only "
     "digests are stored.\n"},
    {"stir", cmd_stir, 2, 4, ASKS | BIT(O_PROGRAMS),
     "key NAME | csr NAME SUBJECT SPC | install NAME FILE | show NAME [--json]",
     "the key that signs calls (STIR/SHAKEN), and its certificate",
     "  key NAME                a fresh key, which stays in the vault (stir.key names it)\n"
     "  csr NAME SUBJECT SPC    a request for its certificate, for that provider code\n"
     "  install NAME FILE       the certificate that came, and what links it: kept as "
     "DIR/stir-NAME.pem,\n"
     "                          to be published at stir.x5u\n"
     "  show NAME\n\n"
     "Only while the gateway does not run.\n"},
    {"cert", cmd_cert, 1, 2,
     ASKS | BIT(O_DAYS) | BIT(O_FORMAT) | BIT(O_OUT) | BIT(O_DOMAIN) | BIT(O_PROGRAMS),
     "authority | issue USER | renew USER | revoke USER-OR-SERIAL | list [TEXT]",
     "client certificates of users, by the local authority",
     "  authority       whose certificate it is, how many are valid\n"
     "  issue USER      a key and a certificate that names the user (SAN sip:USER)\n"
     "  renew USER      another one; what was issued before stays valid until it ends or is "
     "revoked\n"
     "  revoke USER     all of the user; revoke SERIAL: that one. Connections that use it end\n"
     "  list [TEXT]     of users that hold TEXT\n\n"
     "  --days N        how long it is valid (397)\n"
     "  --format F      pem (key and certificate), or p12 for phones, with a fresh passphrase\n"
     "  --out FILE      a new file, readable by its owner only; else PEM goes to standard "
     "output\n\n"
     "Zones take them by `client_certificate: required` and `authenticate: certificate` (instead "
     "of a password)\nor `both`. Works with and without a running gateway.\n"},
    {"token", cmd_token, 1, 2, ASKS | BIT(O_DAYS) | BIT(O_DOMAIN) | BIT(O_PROGRAMS),
     "secret | issue USER [--days N]", "short-lived credentials of web clients",
     "  secret          a fresh secret to be shared with the web application; shown this once\n"
     "  issue USER      a user name that ends by itself, and its password: one hour, or --days "
     "N\n\n"
     "The application makes the same by itself: name \"END:USER\" (END in seconds since 1970), "
     "password\nbase64(HMAC-SHA256(secret, name)) or with SHA-1; `tokens: hmac` of the "
     "configuration lets them in.\n"},
    {"otp", cmd_otp, 1, 2, ASKS | BIT(O_REGENERATE) | BIT(O_REASON), "enrol|remove USER | list",
     "one-time codes of users (TOTP, RFC 6238)",
     "  enrol USER      a new seed, shown once: a QR code and its otpauth URI; --regenerate: in "
     "place of an old one\n"
     "  remove USER     no more codes\n"
     "  list            who has a seed\n\n"
     "An account with a seed is under second factor: its new phones wait in quarantine until the "
     "user dials\nthe service number (second_factor.service_number, *77) from them and gives a "
     "code, or `ringwall device\napprove`.\n"},
    {"device", cmd_device, 1, 4, ASKS | BIT(O_REASON),
     "list [USER] | approve|revoke USER DEVICE | rename USER DEVICE NAME",
     "phones that registered, and which of them may call",
     "  list [USER]             all that were seen: new, approved, revoked\n"
     "  approve USER DEVICE     out of quarantine\n"
     "  revoke USER DEVICE      may nothing but call for help; its running calls end\n"
     "  rename USER DEVICE NAME\n"},
    {"peer-secret", cmd_peer_secret, 0, 1, ASKS | BIT(O_OFF) | BIT(O_PROGRAMS), "[PEER] [--off]",
     "password for the challenges of a peer",
     "Reads one line of standard input (not shown on a terminal). --off forgets it. Without PEER: "
     "whose are known.\n"},
    {"reload", cmd_reload, 0, 0, ASKS, "[--reason TEXT] [--json]",
     "take the changed configuration, or tell why not",
     "A change that lets more out or keeps less in (a class or country opened, a cap raised, a "
     "waiver, an\nexemption) wants --reason, and where the configuration says four_eyes a second "
     "person: ringwall approvals.\n"},
    {"approvals", cmd_approvals, 0, 2, ASKS,
     "[list | approve ID | deny ID] [--reason TEXT] [--json]",
     "risky changes that wait for a second person",
     "approve ID carries the change out; it takes another user than the one who asked, of role "
     "security-officer or\nadministrator. What nobody approves expires (an hour, unless "
     "administrators.approval says otherwise).\n"},
    {"break-glass", cmd_break_glass, 0, 1, ASKS, "[ID] --reason TEXT [--json]",
     "carry a risky change out without the second person, loudly",
     "Without ID: reloads the configuration, risky or not. With the number of an approval: what "
     "waits there.\nAn alert in the event log, a notification, and a line of `ringwall status` for "
     "a day.\n"},
    {"audit", cmd_audit, 0, 0, ASKS | BIT(O_LAST), "[--last N] [--json]",
     "what administrators did: who, what, why, before and after, newest first",
     "From the newest file of the event log, whose chain `ringwall verify-log` checks. --last N at "
     "most N (50).\n"},
    {"notify", cmd_notify, 0, 1, ASKS, "[test] [--reason TEXT] [--json]",
     "who is told of what, and what came of it",
     "test: sends a test message to every target that listens for \"test\".\n"},
    {"drain", cmd_drain, 0, 0, ASKS | BIT(O_OFF), "[--off]",
     "refuse new calls and let running ones end", ""},
    {"stop", cmd_stop, 0, 0, ASKS | BIT(O_NO_WAIT) | BIT(O_DRAIN), "[--drain] [--no-wait]",
     "end the gateway; running calls end",
     "  --drain    take no new calls, and end when no call is left (ringwall drain --off: never "
     "mind)\n"
     "  --no-wait  do not wait for the end\n"},
    {"selftest", cmd_selftest, 0, 0, ASKS | BIT(O_VERBOSE) | BIT(O_PROGRAMS), "[--state DIR]",
     "one secured call through the running gateway, by own test peers",
     "A caller by TLS and SRTP, a callee as plain PBX in the waived zone; tones both ways, checked "
     "by frequency.\n"
     "One line a stage.\n"},
    {"rates", cmd_rates, 1, 2, ASKS, "check FILE | show NUMBER | list [--json]",
     "prices: judge a rate deck, look a number up",
     "  check FILE    every wrong line of a CSV at once; 0 if there is none\n"
     "  show NUMBER   what a call to it costs, by deck and without one\n"
     "  list          decks of the configuration and how many prefixes they know\n"},
    {"rules", cmd_rules, 1, CLI_WORDS, ASKS,
     "check FILE... | test|list [FILE...] | try MESSAGE [FILE...]",
     "signatures: judge, list and try them",
     "  check FILE...     every mistake at once, as FILE:LINE:COLUMN with a hint\n"
     "  test [FILE...]    runs the examples beside the files: each rule must fire, and must not\n"
     "  list [FILE...]    rules in the order they are judged in\n"
     "  try MESSAGE [FILE...]  which rules fire on the SIP message in that file\n\n"
     "A folder stands for the *.rules in it; without FILE: the pack that came with Ringwall.\n"},
    {"verify-log", cmd_verify_log, 0, CLI_WORDS, ASKS, "[FILE]...",
     "check the hash chain of the event and call logs",
     "Without FILE: all logs of the state folder. Finds changed, missing, moved and doubled lines. "
     "Exit code 1 if\n"
     "something is wrong.\n"},
    {"replay", cmd_replay, 1, 1,
     BIT(O_CONFIG) | BIT(O_JSON) | BIT(O_QUIET) | BIT(O_AGAINST) | BIT(O_EVE),
     "FILE [--config FILE] [--against FILE] [--eve FILE] [--quiet] [--json]",
     "judge a capture (pcap, pcapng) as the gateway would have: verdicts, alerts, bans, calls, "
     "RTP",
     "Needs no running gateway and no rights. Without --config private addresses are inside and "
     "all "
     "others outside.\n"
     "Who proved himself is judged by what the server of the capture answered.\n\n"
     "  --config FILE    zones, rules and detectors of this configuration\n"
     "  --against FILE   of a second one over the same capture: what would differ\n"
     "  --eve FILE       alerts as lines of EVE JSON\n"
     "  --quiet          no calls and streams in the text, no progress\n\n"
     "FILE - is standard input. Exit code 1: the capture is damaged, what was read is told; 2: a "
     "configuration is bad;\n5: no such file, or not a capture.\n"},
    {"top", cmd_top, 0, 0, ASKS | BIT(O_ONCE), "[--once]",
     "live view of calls, registrations, attackers, bans",
     "Asks the running gateway every second. Keys: 1-4 and Tab panes, arrows, p pause, r release "
     "the marked ban,\n? help, q quit. --once, or output that is no terminal: one frame of plain "
     "text.\n"},
    {"help-phone", cmd_phone, 0, 0, ASKS, "[--state DIR]", "how to attach a softphone", ""},
    {"version", cmd_version, 0, 0, BIT(O_JSON), "", "version of this program", ""},
};

static const char EXITS[] =
    "Exit codes: 0 done, 1 refused or failed (bad configuration, log that does not verify), 2 "
    "wrong command line,\n"
    "3 the gateway is not running, 4 not permitted, 5 not found, 6 no answer in time.\n";

static void help_all(FILE *to)
{
    (void)fprintf(
        to,
        "Usage: ringwall COMMAND [WORDS] [OPTIONS]\n\nA security gateway for voice over IP.\n\n");
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        (void)fprintf(to, "  %-12s %s\n", COMMANDS[i].name, COMMANDS[i].what);
    (void)fprintf(to,
                  "  %-12s %s\n\n"
                  "`ringwall COMMAND --help` tells more. All commands take --state DIR, the "
                  "gateway's folder\n"
                  "(else $RINGWALL_STATE, else %s); those that print data take --json.\n\n%s",
                  "help", "this text, or help COMMAND", STATE_DEFAULT, EXITS);
}

static void help_one(const struct command *k)
{
    printf("Usage: ringwall %s %s\n\n%c%s.\n", k->name, k->usage,
           k->what[0] >= 'a' && k->what[0] <= 'z' ? k->what[0] - 32 : k->what[0], k->what + 1);
    if (k->more[0])
        printf("\n%s", k->more);
    printf("\n  --state DIR     the gateway's folder (else $RINGWALL_STATE, else %s)\n",
           STATE_DEFAULT);
    if (k->options & BIT(O_JSON))
        printf("  --json          print the data as JSON\n");
    printf("\n%s", EXITS);
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    return NULL;
}

static bool list_add(const char *list[CLI_LIST], unsigned *n)
{
    if (*n == CLI_LIST)
        return false;
    list[(*n)++] = optarg;
    return true;
}

static bool flag(struct cli *c, int o)
{
    bool *const at = o == O_JSON         ? &c->json
                     : o == O_STDIN      ? &c->password_stdin
                     : o == O_ANY        ? &c->any_password
                     : o == O_OFF        ? &c->off
                     : o == O_QUIET      ? &c->quiet
                     : o == O_LIVE       ? &c->live
                     : o == O_ABORTED    ? &c->aborted
                     : o == O_NO_WAIT    ? &c->no_wait
                     : o == O_DRAIN      ? &c->drain
                     : o == O_VERBOSE    ? &c->verbose
                     : o == O_ONCE       ? &c->once
                     : o == O_REGENERATE ? &c->regenerate
                                         : NULL;
    if (at)
        *at = true;
    return at != NULL;
}

static bool text_option(struct cli *c, int o)
{
    const struct {
        int o;
        const char **at;
    } TEXTS[] = {{O_STATE, &c->state},
                 {O_REASON, &c->reason},
                 {O_AS, &c->as},
                 {O_TO, &c->to},
                 {O_AT, &c->at},
                 {O_COUNTRY, &c->country},
                 {O_CONFIG, &c->config},
                 {O_LAST, &c->last},
                 {O_CALL_ID, &c->call_id},
                 {O_SINCE, &c->since},
                 {O_UNTIL, &c->until},
                 {O_AOR, &c->aor},
                 {O_ROLE, &c->role},
                 {O_MD5_OWNER, &c->md5_owner},
                 {O_MD5_REASON, &c->md5_reason},
                 {O_MD5_EXPIRES, &c->md5_expires},
                 {O_DOMAIN, &c->domain},
                 {O_PBX, &c->pbx},
                 {O_OWNER, &c->owner},
                 {O_PROGRAMS, &c->programs},
                 {O_READY_FD, &c->ready_fd},
                 {O_AGAINST, &c->against},
                 {O_EVE, &c->eve},
                 {O_SCOPE, &c->scope},
                 {O_BY, &c->by},
                 {O_FOR, &c->lasts},
                 {O_WHY, &c->why},
                 {O_TREAT, &c->treat},
                 {O_SID, &c->sid},
                 {O_DETECTOR, &c->detector},
                 {O_SITE, &c->site},
                 {O_MUST_CHANGE, &c->must_change},
                 {O_FACTOR, &c->second_factor},
                 {O_FORMAT, &c->format},
                 {O_OUT, &c->out_file},
                 {O_DAYS, &c->days}};
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        if (TEXTS[i].o == o) {
            *TEXTS[i].at = optarg;
            return true;
        }
    }
    return false;
}

static bool take_option(struct cli *c, int o)
{
    if (o == O_NAME)
        return list_add(c->names, &c->n_names);
    if (o == O_NUMBER)
        return list_add(c->numbers, &c->n_numbers);
    if (o == O_USER) {
        c->user = optarg;
        return list_add(c->users, &c->n_users);
    }
    return flag(c, o) || text_option(c, o);
}

static const char *option_name(int o)
{
    for (size_t i = 0; OPTIONS[i].name; i++)
        if (OPTIONS[i].val == o)
            return OPTIONS[i].name;
    return "?";
}

/* -1: go on. */
static int parse(struct cli *c, const struct command *k, int argc, char **argv)
{
    for (int o; (o = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (o == O_HELP) {
            help_one(k);
            return EXIT_OK;
        }
        if (o == '?') {
            (void)fprintf(stderr, "see: ringwall %s --help\n", k->name);
            return EXIT_USAGE;
        }
        if (o >= OPTIONS_MAX || !(k->options & BIT(o)) || !take_option(c, o)) {
            (void)fprintf(stderr, "ringwall %s: --%s does not belong here (see --help)\n", k->name,
                          option_name(o));
            return EXIT_USAGE;
        }
    }
    while (optind < argc && c->n_words < CLI_WORDS)
        c->words[c->n_words++] = argv[optind++];
    if (optind < argc || c->n_words < k->min_words || c->n_words > k->max_words) {
        (void)fprintf(stderr, "usage: ringwall %s %s\n", k->name, k->usage);
        return EXIT_USAGE;
    }
    return -1;
}

static void folders(struct cli *c)
{
    const char *env = getenv("RINGWALL_STATE");
    c->state_said = c->state || (env && *env);
    c->config_said = c->config != NULL;
    if (!c->state)
        c->state = env && *env ? env : STATE_DEFAULT;
    (void)snprintf(c->config_buf, sizeof c->config_buf, "%s/ringwall.yaml", c->state);
    if (c->config)
        return;
    c->config = c->config_buf;
    if (access(c->config_buf, F_OK) != 0 && access("/etc/ringwall/ringwall.yaml", F_OK) == 0)
        c->config = "/etc/ringwall/ringwall.yaml";
}

static int help(int argc, char **argv)
{
    const struct command *k = argc > 2 ? command_find(argv[2]) : NULL;
    if (k)
        help_one(k);
    else
        help_all(stdout);
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    static struct cli c;
    if (argc < 2) {
        help_all(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc, argv);
    if (strcmp(argv[1], "--version") == 0)
        return cmd_version(&c);
    const struct command *k = command_find(argv[1]);
    if (!k) {
        (void)fprintf(stderr, "ringwall: there is no command \"%s\" (see: ringwall help)\n",
                      argv[1]);
        return EXIT_USAGE;
    }
    c.command = k->name;
    int e = parse(&c, k, argc - 1, argv + 1);
    if (e >= 0)
        return e;
    folders(&c);
    e = k->run(&c);
    if (fflush(stdout) != 0 && e == EXIT_OK)
        e = EXIT_REFUSED; /* the disk that took our output is full */
    return e;
}
