/* Between session.c and session_detect.c. */
#ifndef REEF_SESSION_INTERNAL_H
#define REEF_SESSION_INTERNAL_H

#include "reef/protocol.h"

/* Bytes of a direction whose protocol is not settled. */
void reef_session_detect(reef_call *call, int direction, const reef_chunk *chunk);
/* Keep first bytes; false: they are lost. */
bool reef_session_hold(reef_call *call, int direction, reef_view bytes);
/* Held bytes are not needed any more. */
void reef_session_let_go(reef_call *call, int direction);
void reef_session_feed(reef_call *call, int direction, const reef_chunk *chunk);

#endif
