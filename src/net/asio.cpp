// Asio's own code, compiled once.
#include "net/asio.hpp"

#include <boost/asio/impl/src.hpp>
