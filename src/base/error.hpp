// The one exception type of the house. An operation that fails throws Error; an outcome the caller must branch on
// (not found, lock lost, already applied, end of input) is a return value. Only four places catch: the request
// dispatcher, the run executor, thread entries and main.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace headrace {

// What happens next: transient is retried with back-off, permanent fails the run, invalid is the user's input (HTTP
// 4xx), unauthorized is a refused credential, cancelled is not a failure, bug is ours.
enum class ErrorKind { transient, permanent, invalid, unauthorized, cancelled, bug };

std::string_view to_string(ErrorKind kind);

class Error : public std::exception {
public:
    // `code` is one of base/codes.hpp, e.g. "source.incomplete"; `message` is one sentence without secrets.
    Error(ErrorKind kind, std::string_view code, std::string message);

    ErrorKind kind() const { return kind_; }

    const std::string& code() const { return code_; }

    const std::string& message() const { return message_; }

    // Outermost first: "pipeline ch.top_dests", "sink redis cache:ch.top_dests".
    const std::vector<std::string>& context() const { return context_; }

    // What the user can do; the hint of the code unless one was set here.
    std::string hint() const;

    // Adds where it happened while the error rises; returns *this so that `throw e.within("…")` keeps the type.
    Error& within(std::string where);
    Error& with_hint(std::string text);

    const char* what() const noexcept override { return what_.c_str(); }

private:
    void render();

    ErrorKind kind_;
    std::string code_;
    std::string message_;
    std::string hint_;
    std::vector<std::string> context_;
    std::string what_;
};

// The Error that an arbitrary exception stands for: itself, or kind bug with code "internal.bug" (bad_alloc:
// "run.memory").
Error as_error(std::exception_ptr exception);

}  // namespace headrace
