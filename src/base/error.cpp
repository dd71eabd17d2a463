#include "base/error.hpp"

#include "base/codes.hpp"

#include <new>

namespace headrace {

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::transient:
            return "transient";
        case ErrorKind::permanent:
            return "permanent";
        case ErrorKind::invalid:
            return "invalid";
        case ErrorKind::unauthorized:
            return "unauthorized";
        case ErrorKind::cancelled:
            return "cancelled";
        case ErrorKind::bug:
            return "bug";
    }
    return "bug";
}

Error::Error(ErrorKind kind, std::string_view code, std::string message)
    : kind_(kind), code_(code), message_(std::move(message)) {
    render();
}

std::string Error::hint() const {
    if (!hint_.empty()) {
        return hint_;
    }
    const auto* known = find_code(code_);
    return known != nullptr ? std::string(known->hint) : std::string();
}

Error& Error::within(std::string where) {
    context_.insert(context_.begin(), std::move(where));
    render();
    return *this;
}

Error& Error::with_hint(std::string text) {
    hint_ = std::move(text);
    return *this;
}

void Error::render() {
    what_ = code_ + ": ";
    for (const auto& where : context_) {
        what_ += where + ": ";
    }
    what_ += message_;
}

Error as_error(std::exception_ptr exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const Error& e) {
        return e;
    } catch (const std::bad_alloc&) {
        return {ErrorKind::permanent, "run.memory", "out of memory"};
    } catch (const std::exception& e) {
        return {ErrorKind::bug, "internal.bug", e.what()};
    } catch (...) {
        return {ErrorKind::bug, "internal.bug", "unknown exception"};
    }
}

}  // namespace headrace
