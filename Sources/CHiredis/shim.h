// Only the reader is used: the parser of replies, without hiredis's own sockets.
#include <hiredis/read.h>
