/* What a call answers. Zero is success; results come through out-parameters. */
#ifndef REEF_STATUS_H
#define REEF_STATUS_H

typedef enum reef_status {
    REEF_OK = 0,
    REEF_END,          /* nothing more to read */
    REEF_NOMEM,        /* the memory asked for could not be had */
    REEF_INVALID,      /* an argument is outside its bounds (limits.h) */
    REEF_SYSTEM,       /* a system call failed; errno says why */
    REEF_FORMAT,       /* the file is not what it should be */
    REEF_TRUNCATED,    /* the file ends inside a record */
    REEF_UNSUPPORTED,  /* a link type that is not read */
    REEF_FULL,         /* the output buffer holds no more */
    REEF_UNKNOWN_PREFIX /* an event carries a log prefix that the names do not hold */
} reef_status;

/* One line for people; static, never NULL. */
const char *reef_status_text(int status);

#endif
