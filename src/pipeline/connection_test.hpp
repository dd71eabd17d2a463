// The stepwise test of a credential: one line per step with its time, what was found, and what to do when it fails.
// A connector describes its steps in CredentialType::test; the first step that fails ends the test. One thread.
#pragma once

#include "base/deadline.hpp"
#include "base/error.hpp"
#include "base/stop.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::pipeline {

struct TestStep {
    std::string name;  // decrypt, host, dns, connect, tls, login, call, permission
    bool ok = false;
    std::chrono::microseconds took{0};
    std::string detail;  // what was found, or what is wrong; never a secret
    std::string code;    // of the error; "" when ok
    std::string hint;    // what to do; "" when ok
};

class ConnectionTest {
public:
    // `told` hears of each step when it has ended.
    ConnectionTest(StopToken stop, Deadline deadline, std::function<void(const TestStep&)> told = {})
        : stop_(std::move(stop)), deadline_(deadline), told_(std::move(told)) {}

    // Does the work, which returns what it found. What it throws is noted as the step's failure and thrown on; `hint`
    // says what to do then, where the error has nothing to say itself.
    void step(std::string_view name, const std::function<std::string()>& work, std::string_view hint = "");

    const StopToken& stop() const { return stop_; }

    // End of the whole test, or of a step that begins now and may take `most`.
    Deadline deadline(std::chrono::milliseconds most = std::chrono::seconds(15)) const {
        return Deadline::in(most).earlier(deadline_);
    }

    const std::vector<TestStep>& steps() const { return steps_; }

    bool ok() const { return !steps_.empty() && steps_.back().ok; }

private:
    StopToken stop_;
    Deadline deadline_;
    std::function<void(const TestStep&)> told_;
    std::vector<TestStep> steps_;
};

}  // namespace headrace::pipeline
