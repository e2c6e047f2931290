#include "reef/status.h"

const char *reef_status_text(int status)
{
    switch ((reef_status)status) {
    case REEF_OK: return "success";
    case REEF_END: return "nothing more to read";
    case REEF_NOMEM: return "out of memory";
    case REEF_INVALID: return "a value is outside its bounds";
    case REEF_SYSTEM: return "a system call failed";
    case REEF_FORMAT: return "damaged, or neither a pcap nor a pcapng file";
    case REEF_TRUNCATED: return "the file ends inside a record";
    case REEF_UNSUPPORTED: return "a capture of a link type that is not read here (Ethernet, raw IP, Linux cooked and loopback are)";
    case REEF_FULL: return "the output buffer is full";
    case REEF_UNKNOWN_PREFIX: return "the log prefix is not known";
    }
    return "unknown status";
}
