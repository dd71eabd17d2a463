// What a connection throws besides plain Error.
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>

namespace headrace::postgres {

// The link broke after COMMIT was sent: it may have happened.
class CommitUnknown : public Error {
public:
    explicit CommitUnknown(std::string message) : Error(ErrorKind::transient, "postgres.connect", std::move(message)) {}
};

// A server's refusal with its SQLSTATE ("23505").
class SqlError : public Error {
public:
    SqlError(ErrorKind kind, std::string_view code, std::string message, std::string state, std::string constraint)
        : Error(kind, code, std::move(message)), state_(std::move(state)), constraint_(std::move(constraint)) {}

    const std::string& state() const { return state_; }

    const std::string& constraint() const { return constraint_; }

private:
    std::string state_;
    std::string constraint_;
};

}  // namespace headrace::postgres
