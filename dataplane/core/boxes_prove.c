/* What is true of each rule: never reached, without effect, crossing another one. */
#include <string.h>

#include "boxes_internal.h"

/* The proof of one rule. */
typedef struct rule_proof {
    reef_space *space;
    reef_finding *finding;
    int32_t rule;
    uint64_t limit; /* of the space's steps */
    bool doubt;     /* an entry of which nothing is known was in the way */
} rule_proof;

static reef_finding *new_finding(reef_space *space, int32_t rule, uint32_t kind)
{
    if (reef_room((void **)&space->finding, &space->finding_room, (uint64_t)space->findings + 1,
                  sizeof *space->finding, REEF_FINDINGS_MAX) != REEF_OK)
        return NULL;
    reef_finding *finding = &space->finding[space->findings++];
    memset(finding, 0, sizeof *finding);
    finding->rule = rule;
    finding->kind = kind;
    finding->witness.low[0] = 1; /* no box: it ends before it begins */
    return finding;
}

static void show(reef_finding *finding, const reef_box *box, const reef_entry *entry)
{
    finding->witness = *box;
    finding->row = entry->row;
    finding->row_optional = entry->optional;
}

static void name_other(reef_space *space, reef_finding *finding, int32_t rule)
{
    if (rule == REEF_NO_RULE) {
        for (uint32_t i = 0; i < finding->others && i < REEF_OTHERS_MAX; i++)
            if (finding->other[i] == REEF_NO_RULE)
                return;
    } else {
        if (space->stamp[rule] == space->now_stamp)
            return;
        space->stamp[rule] = space->now_stamp;
    }
    if (finding->others < REEF_OTHERS_MAX)
        finding->other[finding->others] = rule;
    finding->others++;
}

static void new_stamp(reef_space *space)
{
    if (++space->now_stamp == 0) {
        memset(space->stamp, 0, space->rules * sizeof *space->stamp);
        space->now_stamp = 1;
    }
}

static uint32_t certain(rule_proof *proof, reef_walk *walk, int further)
{
    uint32_t some = REEF_NO_ENTRY;
    for (uint32_t found; (found = reef_walk_next(walk)) != REEF_NO_ENTRY;) {
        const reef_entry *entry = &proof->space->entry[found];
        proof->doubt |= entry->unsure;
        if (entry->unsure || entry->optional)
            continue;
        if (some == REEF_NO_ENTRY)
            some = found;
        if (reef_box_inside(walk->box, &entry->box))
            return found;
        if (--further <= 0)
            break;
    }
    return some;
}

enum {
    LOOK_FURTHER = 8, /* entries looked at for one that has all of a box, before one such is searched */
    FEW = 64,         /* entries of a rule that are looked through without the tree */
};

/* An entry of a rule above that takes something of a box for certain; one that takes all if there is one. */
static uint32_t hiding(rule_proof *proof, const reef_box *box)
{
    reef_walk walk;
    if (proof->rule == 0)
        return REEF_NO_ENTRY;
    reef_walk_start(&walk, proof->space, box);
    walk.to = proof->rule - 1;
    uint32_t some = certain(proof, &walk, LOOK_FURTHER);
    if (some == REEF_NO_ENTRY || reef_box_inside(box, &proof->space->entry[some].box) || reef_walk_ends(&walk))
        return some;
    reef_walk_start(&walk, proof->space, box);
    walk.to = proof->rule - 1;
    walk.holding = true;
    uint32_t all = certain(proof, &walk, 1);
    return all != REEF_NO_ENTRY ? all : some;
}

/* Entries below, before `bound`, that decide something of a box as the rule does. */
typedef struct rule_alike {
    uint32_t some, all; /* one that has something of the box; one that has all of it */
} rule_alike;

static void alike_walk(rule_proof *proof, reef_walk *walk, const reef_box *box, uint64_t bound)
{
    reef_walk_start(walk, proof->space, box);
    walk->from = proof->rule + 1;
    walk->to = (int32_t)(bound >> 32 > INT32_MAX ? INT32_MAX : bound >> 32);
    walk->which = REEF_THIS_EFFECT;
    walk->effect = proof->space->rule[proof->rule].effect;
}

static rule_alike alike(rule_proof *proof, const reef_box *box, uint64_t bound)
{
    reef_space *space = proof->space;
    rule_alike found = {REEF_NO_ENTRY, REEF_NO_ENTRY};
    int further = LOOK_FURTHER;
    reef_walk walk;
    alike_walk(proof, &walk, box, bound);
    for (uint32_t next; found.all == REEF_NO_ENTRY && (next = reef_walk_next(&walk)) != REEF_NO_ENTRY;) {
        const reef_entry *entry = &space->entry[next];
        proof->doubt |= entry->unsure;
        if (entry->optional || entry->unsure || reef_key(space, next) >= bound)
            continue; /* that it decides cannot be relied upon */
        found.some = next;
        if (reef_box_inside(box, &entry->box))
            found.all = next;
        if (--further > 0 || found.all != REEF_NO_ENTRY)
            continue;
        if (walk.holding)
            return found;
        alike_walk(proof, &walk, box, bound); /* many have something: now only those that have all */
        walk.holding = true;
        further = INT32_MAX;
    }
    return found;
}

/* The first entry at or after `key` and before `bound` that decides something of a box otherwise than the rule. */
static uint32_t otherwise(rule_proof *proof, const reef_box *box, uint64_t key, uint64_t bound)
{
    reef_space *space = proof->space;
    uint64_t best = bound;
    reef_walk walk;
    reef_walk_start(&walk, space, box);
    walk.from = (int32_t)(key >> 32);
    walk.to = (int32_t)(bound >> 32 > INT32_MAX ? INT32_MAX : bound >> 32);
    walk.which = REEF_OTHER_EFFECT;
    walk.effect = space->rule[proof->rule].effect;
    for (uint32_t found; (found = reef_walk_next(&walk)) != REEF_NO_ENTRY;) {
        const uint64_t at = reef_key(space, found);
        if (space->entry[found].unsure) {
            proof->doubt = true;
        } else if (at >= key && at < best) {
            best = at;
            walk.to = space->entry[found].rule;
        }
    }
    return best == bound ? REEF_NO_ENTRY : (uint32_t)best;
}

/* An entry of a rule that takes something of a box for certain. */
static const reef_entry *entry_of(reef_space *space, const reef_box *box, int32_t rule)
{
    uint32_t i = rule == 0 ? 0 : space->rule_end[rule - 1];
    if (space->rule_end[rule] - i > FEW) {
        reef_walk walk;
        reef_walk_start(&walk, space, box);
        walk.from = walk.to = rule;
        for (uint32_t found; (found = reef_walk_next(&walk)) != REEF_NO_ENTRY;)
            if (!space->entry[found].optional && !space->entry[found].unsure)
                return &space->entry[found];
        return NULL;
    }
    for (; i < space->rule_end[rule]; i++) {
        const reef_entry *entry = &space->entry[space->rule_entry[i]];
        space->steps++;
        if (!entry->optional && !entry->unsure && reef_boxes_meet(box, &entry->box))
            return entry;
    }
    return NULL;
}

/* Is all of a box in the entries of some rules? REEF_OK: yes; REEF_UNSUPPORTED: no, and `left` is in none. */
static int covered(reef_space *space, const reef_box *box, const int32_t *rules, uint32_t count, uint64_t limit,
                   reef_box *left)
{
    const uint32_t waiting = space->pieces;
    int status = reef_push(space, box, 0, 0);
    while (space->pieces > waiting && status == REEF_OK) {
        if (space->steps > limit)
            status = REEF_END;
        const reef_piece piece = space->piece[--space->pieces];
        const reef_entry *taker = NULL;
        for (uint32_t r = 0; r < count && taker == NULL; r++)
            taker = entry_of(space, &piece.box, rules[r]);
        int32_t second;
        reef_box common;
        if (taker != NULL) {
            if (status == REEF_OK)
                status = reef_split(space, &piece.box, &taker->box, 0, 0, &common);
        } else if (status == REEF_OK && reef_has_moment(space, &piece.box, &second)) {
            *left = piece.box;
            status = REEF_UNSUPPORTED;
        }
    }
    space->pieces = waiting;
    return status;
}

/* Leaves out rules that are not needed to hide `rule`. */
static int fewer(rule_proof *proof)
{
    reef_space *space = proof->space;
    reef_finding *finding = proof->finding;
    if (finding->others > REEF_OTHERS_MAX)
        return REEF_OK;
    for (uint32_t out = finding->others; finding->others > 1 && out-- > 0;) {
        int32_t rest[REEF_OTHERS_MAX];
        uint32_t count = 0;
        for (uint32_t i = 0; i < finding->others; i++)
            if (i != out)
                rest[count++] = finding->other[i];
        uint32_t i = proof->rule == 0 ? 0 : space->rule_end[proof->rule - 1];
        int status = REEF_OK;
        reef_box left;
        for (; i < space->rule_end[proof->rule] && status == REEF_OK; i++)
            status = covered(space, &space->entry[space->rule_entry[i]].box, rest, count, proof->limit, &left);
        if (status == REEF_NOMEM)
            return status;
        if (status == REEF_OK) {
            memcpy(finding->other, rest, sizeof rest);
            finding->others = count;
        }
    }
    return REEF_OK;
}

static void sort_others(reef_finding *finding)
{
    uint32_t count = finding->others < REEF_OTHERS_MAX ? finding->others : REEF_OTHERS_MAX;
    for (uint32_t i = 1; i < count; i++) {
        int32_t held = finding->other[i];
        uint32_t at = i;
        for (; at > 0 && (uint32_t)finding->other[at - 1] > (uint32_t)held; at--) /* REEF_NO_RULE last */
            finding->other[at] = finding->other[at - 1];
        finding->other[at] = held;
    }
}

/* What a search has seen of a rule: whether anything reaches it, and who decides that without it. */
typedef struct rule_search {
    reef_finding alike;
    uint32_t above, below; /* stamps: rules that hide it, rules that decide alike */
    bool reached;
} rule_search;

enum { NEEDED = 1000 }; /* besides the values of reef_status */
#define NO_BOUND UINT64_MAX

/* A piece that is decided otherwise (by the entry at `bound`, or by the fallback) unless rules before that take it. */
static int search_bounded(rule_proof *proof, rule_search *search, const reef_piece *piece)
{
    reef_space *space = proof->space;
    reef_box common;
    int32_t second;
    if (!reef_has_moment(space, &piece->box, &second))
        return REEF_OK;
    const rule_alike takers = alike(proof, &piece->box, piece->bound);
    const uint32_t found = takers.all != REEF_NO_ENTRY ? takers.all : takers.some;
    if (found == REEF_NO_ENTRY)
        return NEEDED;
    space->now_stamp = search->below;
    name_other(space, &search->alike, space->entry[found].rule);
    return reef_split(space, &piece->box, &space->entry[found].box, 0, piece->bound, &common);
}

/* A piece: hidden in part; or reached, and then decided by rules below, of which those that do otherwise are looked at. */
static int search_piece(rule_proof *proof, rule_search *search, const reef_entry *own, const reef_piece *piece)
{
    reef_space *space = proof->space;
    const uint64_t behind = (uint64_t)(uint32_t)(proof->rule + 1) << 32;
    reef_box common;
    int32_t second;
    if (piece->key == 0) {
        uint32_t found = hiding(proof, &piece->box);
        if (found != REEF_NO_ENTRY) {
            space->now_stamp = search->above;
            name_other(space, proof->finding, space->entry[found].rule);
            return reef_split(space, &piece->box, &space->entry[found].box, 0, 0, &common);
        }
        if (!reef_has_moment(space, &piece->box, &second))
            return REEF_OK;
        if (!search->reached)
            show(&search->alike, &piece->box, own);
        search->reached = true;
    }
    const rule_alike takers = alike(proof, &piece->box, NO_BOUND);
    const uint64_t end = takers.all == REEF_NO_ENTRY ? NO_BOUND : reef_key(space, takers.all);
    uint32_t next = otherwise(proof, &piece->box, piece->key > behind ? piece->key : behind, end);
    int status = REEF_OK;
    if (next != REEF_NO_ENTRY) {
        status = reef_push(space, &piece->box, reef_key(space, next) + 1, 0);
        const uint32_t waiting = space->pieces;
        if (status == REEF_OK)
            status = reef_split(space, &piece->box, &space->entry[next].box, 0, 0, &common);
        space->pieces = waiting; /* only what they share is of interest */
        return status == REEF_OK ? reef_push(space, &common, 0, reef_key(space, next)) : status;
    }
    space->now_stamp = search->below;
    if (takers.all != REEF_NO_ENTRY) {
        name_other(space, &search->alike, space->entry[takers.all].rule);
        return REEF_OK;
    }
    if (space->fallback.effect == space->rule[proof->rule].effect) {
        name_other(space, &search->alike, REEF_NO_RULE);
        return REEF_OK;
    }
    if (takers.some == REEF_NO_ENTRY)
        return NEEDED; /* the fallback decides it */
    name_other(space, &search->alike, space->entry[takers.some].rule);
    return reef_split(space, &piece->box, &space->entry[takers.some].box, 0, NO_BOUND, &common);
}

static int search_box(rule_proof *proof, rule_search *search, const reef_entry *own)
{
    reef_space *space = proof->space;
    space->pieces = 0;
    reef_know_near(space, &own->box);
    int status = reef_push(space, &own->box, 0, 0);
    while (space->pieces > 0 && status == REEF_OK) {
        if (space->steps > proof->limit)
            return REEF_END;
        const reef_piece piece = space->piece[--space->pieces];
        status = piece.bound != 0 ? search_bounded(proof, search, &piece) : search_piece(proof, search, own, &piece);
    }
    return status;
}

/* Dead, without effect, or neither: a search for one packet that would be decided otherwise without the rule. */
static int prove_reach(rule_proof *proof)
{
    reef_space *space = proof->space;
    rule_search search = {.reached = false};
    reef_finding *dead = proof->finding;
    new_stamp(space);
    search.above = space->now_stamp;
    new_stamp(space);
    search.below = space->now_stamp;
    uint32_t i = proof->rule == 0 ? 0 : space->rule_end[proof->rule - 1];
    for (; i < space->rule_end[proof->rule]; i++) {
        const reef_entry *own = &space->entry[space->rule_entry[i]];
        int32_t second;
        if (own->unsure || space->steps > proof->limit)
            return REEF_END;
        if (!reef_has_moment(space, &own->box, &second))
            continue; /* its schedule is not on before it expires */
        int status = search_box(proof, &search, own);
        if (status == NEEDED)
            return proof->doubt ? REEF_END : REEF_OK;
        if (status != REEF_OK)
            return status;
    }
    if (!search.reached) {
        /* Without others there is no moment at which it holds. */
        dead->kind = dead->others == 0 ? REEF_FINDING_EMPTY : REEF_FINDING_DEAD;
        int status = fewer(proof);
        sort_others(dead);
        return status;
    }
    if (proof->doubt)
        return REEF_END;
    *dead = search.alike;
    dead->rule = proof->rule;
    dead->kind = REEF_FINDING_NO_EFFECT;
    sort_others(dead);
    return REEF_OK;
}

/* --- conflicts ------------------------------------------------------------------------------------- */

/* Is every packet of rule `a` also one of rule `b`, whatever the conditions? REEF_OK: yes. */
static int rule_inside(reef_space *space, int32_t a, int32_t b, uint64_t limit)
{
    uint32_t i = a == 0 ? 0 : space->rule_end[a - 1];
    for (; i < space->rule_end[a]; i++) {
        const reef_entry *entry = &space->entry[space->rule_entry[i]];
        reef_box left;
        int status = entry->unsure ? REEF_UNSUPPORTED : covered(space, &entry->box, &b, 1, limit, &left);
        if (status != REEF_OK)
            return status;
    }
    return REEF_OK;
}

/* A part of what two entries share that the upper one decides. REEF_OK: there is one. */
static int decided_above(rule_proof *proof, const reef_box *shared, reef_box *witness)
{
    reef_space *space = proof->space;
    const uint32_t waiting = space->pieces;
    int status = reef_push(space, shared, 0, 0), answer = REEF_UNSUPPORTED;
    while (space->pieces > waiting && status == REEF_OK && answer == REEF_UNSUPPORTED) {
        if (space->steps > proof->limit)
            status = REEF_END;
        const reef_piece piece = space->piece[--space->pieces];
        uint32_t found = hiding(proof, &piece.box);
        reef_box common;
        int32_t second;
        if (found != REEF_NO_ENTRY) {
            if (status == REEF_OK)
                status = reef_split(space, &piece.box, &space->entry[found].box, 0, 0, &common);
        } else if (reef_has_moment(space, &piece.box, &second)) {
            *witness = piece.box;
            answer = REEF_OK;
        }
    }
    space->pieces = waiting;
    return status == REEF_OK ? answer : status;
}

static void common_of(const reef_box *a, const reef_box *b, reef_box *common)
{
    for (int axis = 0; axis < REEF_AXES; axis++) {
        common->low[axis] = a->low[axis] > b->low[axis] ? a->low[axis] : b->low[axis];
        common->high[axis] = a->high[axis] < b->high[axis] ? a->high[axis] : b->high[axis];
    }
    common->times = a->times & b->times;
    common->yes = a->yes | b->yes;
    common->no = a->no | b->no;
}

static int prove_conflicts(rule_proof *proof, uint32_t most)
{
    reef_space *space = proof->space;
    const uint8_t others = (uint8_t)~(1u << space->rule[proof->rule].action);
    uint32_t i = proof->rule == 0 ? 0 : space->rule_end[proof->rule - 1];
    new_stamp(space); /* partners that are done */
    space->pieces = 0;
    for (; i < space->rule_end[proof->rule]; i++) {
        const reef_entry *own = &space->entry[space->rule_entry[i]];
        if (space->steps > proof->limit)
            return REEF_END;
        if (own->unsure)
            continue;
        reef_walk walk;
        reef_walk_start(&walk, space, &own->box);
        walk.from = proof->rule + 1;
        walk.actions = others;
        for (uint32_t found; (found = reef_walk_next(&walk)) != REEF_NO_ENTRY;) {
            const reef_entry *entry = &space->entry[found];
            const int32_t partner = entry->rule;
            if (space->steps > proof->limit)
                return REEF_END;
            if (entry->unsure || space->stamp[partner] == space->now_stamp)
                continue;
            reef_box shared, witness;
            common_of(&own->box, &entry->box, &shared);
            int status = decided_above(proof, &shared, &witness);
            if (status == REEF_UNSUPPORTED)
                continue; /* another pair of their boxes may do */
            if (status != REEF_OK)
                return status;
            space->stamp[partner] = space->now_stamp;
            status = rule_inside(space, proof->rule, partner, proof->limit);
            if (status == REEF_UNSUPPORTED)
                status = rule_inside(space, partner, proof->rule, proof->limit);
            if (status == REEF_OK)
                continue;
            if (status != REEF_UNSUPPORTED)
                return status;
            if (space->crossing[proof->rule]++ >= most)
                continue;
            reef_finding *finding = new_finding(space, proof->rule, REEF_FINDING_CONFLICT);
            if (finding == NULL)
                return REEF_NOMEM;
            finding->others = 1;
            finding->other[0] = partner;
            show(finding, &witness, own);
        }
    }
    return REEF_OK;
}

static int undecided(reef_space *space, int32_t rule)
{
    return new_finding(space, rule, REEF_FINDING_UNDECIDED) == NULL ? REEF_NOMEM : REEF_OK;
}

static int prove_rule(reef_space *space, int32_t rule, uint64_t limit, uint32_t conflicts)
{
    uint32_t first = rule == 0 ? 0 : space->rule_end[rule - 1];
    space->crossing[rule] = 0;
    if (first == space->rule_end[rule])
        return new_finding(space, rule, REEF_FINDING_EMPTY) == NULL ? REEF_NOMEM : REEF_OK;
    reef_finding finding = {.rule = rule};
    rule_proof proof = {space, &finding, rule, limit, false};
    int status = prove_reach(&proof);
    if (status == REEF_END)
        return undecided(space, rule);
    if (status != REEF_OK)
        return status;
    if (finding.kind != 0) {
        if (finding.kind == REEF_FINDING_DEAD) {
            finding.witness = space->entry[space->rule_entry[first]].box;
            finding.row = space->entry[space->rule_entry[first]].row;
            finding.row_optional = space->entry[space->rule_entry[first]].optional;
        }
        if (finding.kind == REEF_FINDING_EMPTY)
            finding.witness.low[0] = 1, finding.witness.high[0] = 0;
        reef_finding *kept = new_finding(space, rule, finding.kind);
        if (kept == NULL)
            return REEF_NOMEM;
        *kept = finding;
        if (finding.kind != REEF_FINDING_NO_EFFECT)
            return REEF_OK; /* it decides nothing, so it wins no conflict */
    }
    status = prove_conflicts(&proof, conflicts);
    return status == REEF_END ? undecided(space, rule) : status;
}

int reef_space_prove(reef_space *space, uint64_t budget, uint64_t share, uint32_t conflicts, uint64_t *used,
                     uint8_t *proven, const reef_finding **findings, uint32_t *count)
{
    space->findings = 0;
    space->steps = 0;
    space->limit = budget;
    int status = REEF_OK;
    for (uint32_t rule = 0; rule < space->rules && status == REEF_OK; rule++) {
        if (proven != NULL)
            proven[rule] = space->dirty[rule];
        if (!space->dirty[rule])
            continue;
        if (space->steps >= budget) {
            status = undecided(space, (int32_t)rule); /* it stays to be proven */
            continue;
        }
        uint64_t limit = share < budget - space->steps ? space->steps + share : budget;
        status = prove_rule(space, (int32_t)rule, limit, conflicts);
        space->dirty[rule] = space->steps >= budget; /* what had its share and did not end is not tried again */
    }
    reef_forget_near(space);
    *used = space->steps;
    *findings = space->finding;
    *count = space->findings;
    return status;
}

uint64_t reef_space_crossings(const reef_space *space)
{
    uint64_t sum = 0;
    for (uint32_t rule = 0; rule < space->rules; rule++)
        sum += space->crossing[rule];
    return sum;
}
