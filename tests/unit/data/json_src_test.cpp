// Boost.JSON, compiled here once: an independent parser for what the encoder writes.
#include <boost/json/src.hpp>
