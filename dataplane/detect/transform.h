/* transform: what transforms ask of the rule set. */
#ifndef REEF_TRANSFORM_H
#define REEF_TRANSFORM_H

#include "rules_internal.h"

/* pcrexform's expression, compiled at first use; NULL: it cannot be. */
const struct expression *rules_transform_expression(const reef_rules *rules, uint32_t transform);

#endif
