/* Which protocol a flow speaks. Each direction is asked on its own, by its first bytes; the two opinions are then put
 * together as Suricata does: whoever is recognised first decides, a direction that nobody recognises follows the other one,
 * and disagreement is an event. First bytes are held until somebody knows them, so that the parser sees all of them. */
#include <string.h>

#include "reef/limits.h"
#include "session_internal.h"

enum { UNHEARD_MAX = 100000 }; /* bytes of one direction while the other one is silent: nobody will recognise it any more */

static void raise(reef_call *call, unsigned event)
{
    reef_transaction_event(call, NULL, REEF_SESSION_EVENT | event);
}

static void give_up(reef_call *call)
{
    reef_session *session = call->session;
    session->flags |= REEF_SESSION_DETECTED | REEF_SESSION_FAILED | REEF_SESSION_NO_PARSE;
    session->protocol = NULL;
    call->flow->app = 0;
    reef_session_let_go(call, 0);
    reef_session_let_go(call, 1);
}

static bool is_way(unsigned ways, int direction)
{
    return ways == 0 || (ways & (direction == REEF_TO_SERVER ? REEF_WAY_TO_SERVER : REEF_WAY_TO_CLIENT)) != 0;
}

/* --- held bytes ---------------------------------------------------------------------------------------- */

bool reef_session_hold(reef_call *call, int direction, reef_view bytes)
{
    reef_session *session = call->session;
    uint32_t length = session->side[direction].length, capacity = session->side[direction].capacity;
    if (bytes.length == 0)
        return true;
    if (session->side[direction].lost > 0 || bytes.length > REEF_SESSION_HELD_MAX - length) {
        session->side[direction].lost += bytes.length;
        return false;
    }
    if (length + bytes.length > capacity) {
        uint32_t wanted = capacity == 0 ? 256 : 2 * capacity;
        while (wanted < length + bytes.length)
            wanted *= 2;
        uint8_t *grown = reef_memory_resize(call->memory, session->side[direction].data, capacity, wanted);
        if (grown == NULL) {
            session->side[direction].lost += bytes.length;
            return false;
        }
        session->side[direction].data = grown;
        session->side[direction].capacity = wanted;
    }
    memcpy(session->side[direction].data + length, bytes.data, bytes.length);
    session->side[direction].length += bytes.length;
    return true;
}

/* What was held, then the chunk at hand (NULL: there is none); in one piece where that can be. */
static void feed_all(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_session *session = call->session;
    reef_chunk rest = {.offset = session->side[direction].bytes, .end = session->side[direction].ended};
    if (chunk != NULL)
        rest = *chunk;
    if (session->side[direction].length == 0) {
        if (rest.bytes.length > 0 || rest.missing > 0 || rest.end)
            reef_session_feed(call, direction, &rest);
        return;
    }
    if (rest.missing == 0 && reef_session_hold(call, direction, rest.bytes))
        rest.bytes.length = 0;
    else if (rest.bytes.length > 0 && rest.missing == 0)
        session->side[direction].lost -= rest.bytes.length;
    uint8_t *data = session->side[direction].data;
    uint32_t length = session->side[direction].length, capacity = session->side[direction].capacity;
    rest.missing += session->side[direction].lost;
    bool more = rest.bytes.length > 0 || rest.missing > 0;
    uint64_t behind = more ? (uint64_t)rest.missing + rest.bytes.length : 0;
    reef_chunk held = {.bytes = {data, length},
                       .offset = session->side[direction].bytes - behind - length,
                       .end = rest.end && !more};
    session->side[direction].data = NULL;
    session->side[direction].length = session->side[direction].capacity = session->side[direction].lost = 0;
    reef_session_feed(call, direction, &held);
    if (more && !(session->flags & REEF_SESSION_CHANGING))
        reef_session_feed(call, direction, &rest);
    reef_memory_give(call->memory, data, capacity);
}

/* --- asking -------------------------------------------------------------------------------------------- */

static void ports_of(const reef_flow *flow, reef_probe *probe)
{
    bool high = flow->client_is_high;
    probe->client_port = high ? flow->key.high_port : flow->key.low_port;
    probe->server_port = high ? flow->key.low_port : flow->key.high_port;
}

/* The protocol of these first bytes, or NULL; `more`: somebody wants to see further ones. */
static const reef_protocol *ask(const reef_call *call, int direction, reef_view bytes, bool end, bool *more, bool *turned)
{
    const reef_session *session = call->session;
    const reef_protocol *other = session->seen[!direction];
    unsigned transport = call->flow->key.protocol;
    reef_probe probe = {.bytes = bytes, .direction = direction, .stream = transport != REEF_PROTO_UDP, .end = end, .turned = turned};
    ports_of(call->flow, &probe);
    *more = *turned = false;
    if (other != NULL && other->probe != NULL && other->probe(&probe) == REEF_GUESS_YES)
        return other;
    for (unsigned number = 1; number <= reef_protocols_count(); number++) {
        const reef_protocol *protocol = reef_protocol_by_number(number);
        if (protocol->probe == NULL || protocol == other || (protocol->transport != 0 && protocol->transport != transport))
            continue;
        bool turns = false;
        probe.turned = &turns;
        reef_guess guess = protocol->probe(&probe);
        if (guess == REEF_GUESS_YES) {
            *turned = turns;
            return protocol;
        }
        *more |= guess == REEF_GUESS_MORE && !end;
    }
    return NULL;
}

/* Of a conversation that may be the wrong way round: is it the other side's first bytes that these are? */
static const reef_protocol *ask_both_ways(const reef_call *call, int direction, reef_view bytes, bool end, bool *more, bool *turned)
{
    bool unused;
    const reef_protocol *protocol = ask(call, direction, bytes, end, more, turned);
    if (protocol != NULL || !call->may_turn || call->session->protocol != NULL || call->flow->key.protocol == REEF_PROTO_UDP)
        return protocol;
    protocol = ask(call, !direction, bytes, end, &unused, turned);
    *turned = protocol != NULL;
    return protocol;
}

static void turn(reef_call *call)
{
    reef_session *session = call->session;
    const reef_protocol *seen = session->seen[0];
    session->seen[0] = session->seen[1];
    session->seen[1] = seen;
    reef_session copy = *session;
    session->side[0] = copy.side[1];
    session->side[1] = copy.side[0];
    if (session->first_side != 0)
        session->first_side = (uint8_t)(3 - session->first_side);
    call->turned = true;
    call->may_turn = false;
}

/* --- streams ------------------------------------------------------------------------------------------- */

static void settle_held(reef_call *call, int direction);

/* Was a change asked for, and is this what it was to lead to? */
static void compare_wanted(reef_call *call, const reef_protocol *protocol)
{
    reef_session *session = call->session;
    if (session->wanted == NULL || session->wanted == protocol)
        return;
    raise(call, REEF_SESSION_EVENT_UNEXPECTED);
    if (strcmp(session->wanted->name, "tls") == 0)
        raise(call, REEF_SESSION_EVENT_NO_TLS);
}

/* Both opinions are in: which protocol is it? */
static const reef_protocol *decide(reef_call *call, int direction, const reef_protocol *protocol)
{
    reef_session *session = call->session;
    const reef_protocol *other = session->seen[!direction];
    if (other == NULL || other == protocol)
        return protocol;
    raise(call, REEF_SESSION_EVENT_MISMATCH);
    return session->fed || direction == REEF_TO_SERVER ? other : protocol;
}

static void recognised(reef_call *call, int direction, const reef_protocol *protocol, const reef_chunk *chunk)
{
    reef_session *session = call->session;
    bool first = session->protocol == NULL;
    protocol = decide(call, direction, protocol);
    if (first && !is_way(protocol->first, session->first_side - 1)) {
        raise(call, REEF_SESSION_EVENT_WRONG_DIRECTION);
        give_up(call);
        return;
    }
    if (first && !is_way(protocol->first, direction)) { /* the other direction's first bytes are there, but say nothing yet */
        if (chunk != NULL)
            reef_session_hold(call, direction, chunk->bytes);
        return;
    }
    session->seen[direction] = protocol;
    session->side[direction].gone = true;
    if (first) {
        session->settling = (session->flags & REEF_SESSION_CHANGED) != 0;
        compare_wanted(call, protocol);
        if (!reef_session_adopt(call, protocol))
            return;
        if (session->first_side == 2 - direction)
            settle_held(call, !direction);
    }
    feed_all(call, direction, chunk);
    if (first && session->side[!direction].length > 0)
        settle_held(call, !direction);
    if (first)
        session->settling = false;
}

static void not_recognised(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_session *session = call->session;
    session->side[direction].gone = true;
    if (session->protocol != NULL) {
        session->seen[direction] = session->protocol;
        raise(call, REEF_SESSION_EVENT_ONE_DIRECTION);
        feed_all(call, direction, chunk);
        return;
    }
    if (chunk != NULL)
        reef_session_hold(call, direction, chunk->bytes);
    /* Of a conversation picked up in its middle the client's first bytes may be the tail of a request: what the server then
     * says would be recognised, but the client's side could not be parsed. */
    bool hopeless = session->side[direction].bytes > UNHEARD_MAX || (call->midstream && direction == REEF_TO_SERVER);
    if (session->side[!direction].gone || hopeless) {
        raise(call, REEF_SESSION_EVENT_SKIPPED);
        give_up(call);
    }
}

/* The protocol was found in the other direction: what does this one's held data say? */
static void settle_held(reef_call *call, int direction)
{
    reef_session *session = call->session;
    reef_view held = {session->side[direction].data, session->side[direction].length};
    bool more, turned;
    if (held.length == 0 || session->protocol == NULL)
        return;
    const reef_protocol *protocol = session->side[direction].gone
                                        ? NULL
                                        : ask(call, direction, held, session->side[direction].ended, &more, &turned);
    if (protocol != NULL)
        recognised(call, direction, protocol, NULL);
    else if (session->side[direction].gone || !more)
        not_recognised(call, direction, NULL);
}

/* A hole where the protocol should show: only what the other direction knows helps. */
static void gap_in_front(reef_call *call, int direction, const reef_chunk *chunk)
{
    if (call->session->protocol == NULL) {
        give_up(call);
        return;
    }
    call->session->seen[direction] = call->session->protocol;
    call->session->side[direction].gone = true;
    feed_all(call, direction, chunk);
}

static void detect_stream(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_session *session = call->session;
    bool more, turned;
    session->side[direction].ended |= chunk->end;
    if (chunk->missing > 0) {
        gap_in_front(call, direction, chunk);
        return;
    }
    if (session->side[direction].gone) { /* waits for the other one */
        not_recognised(call, direction, chunk);
        return;
    }
    reef_view bytes = chunk->bytes;
    reef_chunk rest = *chunk;
    if (session->side[direction].length > 0) {
        bool held = reef_session_hold(call, direction, chunk->bytes);
        bytes = (reef_view){session->side[direction].data, session->side[direction].length};
        if (!held) {
            session->side[direction].lost = 0;
            not_recognised(call, direction, chunk);
            return;
        }
        rest.bytes.length = 0;
    }
    if (bytes.length == 0)
        return;
    const reef_protocol *protocol = ask_both_ways(call, direction, bytes, chunk->end, &more, &turned);
    if (protocol != NULL && turned && call->may_turn && session->protocol == NULL) {
        turn(call);
        direction = !direction;
    }
    if (protocol != NULL)
        recognised(call, direction, protocol, &rest);
    else if (!more)
        not_recognised(call, direction, &rest);
    else
        reef_session_hold(call, direction, rest.bytes);
}

/* --- datagrams ----------------------------------------------------------------------------------------- */

static void detect_datagram(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_session *session = call->session;
    bool more, turned;
    if (chunk->bytes.length == 0)
        return;
    const reef_protocol *protocol = ask(call, direction, chunk->bytes, true, &more, &turned);
    if (protocol != NULL && turned && call->may_turn && session->protocol == NULL) {
        turn(call);
        direction = !direction;
    }
    session->side[direction].gone = true;
    session->seen[direction] = protocol;
    if (session->protocol != NULL) {
        if (protocol != NULL && protocol != session->protocol)
            raise(call, REEF_SESSION_EVENT_MISMATCH);
        reef_session_feed(call, direction, chunk);
    } else if (protocol != NULL) {
        if (reef_session_adopt(call, protocol))
            reef_session_feed(call, direction, chunk);
    } else if (session->side[!direction].gone) {
        give_up(call);
    }
}

void reef_session_detect(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_session *session = call->session;
    if (session->first_side == 0 && chunk->bytes.length > 0)
        session->first_side = (uint8_t)(1 + direction);
    if (call->flow->key.protocol == REEF_PROTO_UDP)
        detect_datagram(call, direction, chunk);
    else
        detect_stream(call, direction, chunk);
}
