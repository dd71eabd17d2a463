#include "credential/envelope.hpp"

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/ids.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>

namespace headrace::credential {
namespace {

namespace fs = std::filesystem;

const Secret secret(std::string("hunter2 with \0 and ключ", 24));

Binding binding() {
    return {
        .id = "0190a000-0000-4000-8000-000000000001",
        .version = 3,
        .kind = "clickhouse",
        .allowed_hosts = {"b:1", "a:2"}};
}

std::string code_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& e) {
        EXPECT_EQ(std::string(e.what()).find("hunter2"), std::string::npos);
        return e.code();
    }
    return "";
}

std::string open_code(const MasterKey& key, std::string_view blob, const Binding& where) {
    return code_of([&] { static_cast<void>(key.open(blob, where)); });
}

TEST(Envelope, OpensWhatItSealed) {
    const auto key = MasterKey::random();
    const auto blob = key.seal(secret, binding());
    EXPECT_EQ(key.open(blob, binding()).reveal(), secret.reveal());
    EXPECT_EQ(blob.size(), 2 + 8 + 24 + 48 + 24 + secret.reveal().size() + 16);
    EXPECT_TRUE(blob.starts_with("v1"));
    EXPECT_EQ(key_id_of(blob), key.id());
    EXPECT_EQ(blob.find("hunter2"), std::string::npos);
    EXPECT_NE(key.seal(secret, binding()), blob) << "fresh data key and nonces each time";
    EXPECT_EQ(key.open(key.seal(Secret(), binding()), binding()).reveal(), "");
    auto other_order = binding();
    other_order.allowed_hosts = {"a:2", "b:1"};
    EXPECT_EQ(key.open(blob, other_order).reveal(), secret.reveal());
}

TEST(Envelope, IsTiedToItsRow) {
    const auto key = MasterKey::random();
    const auto blob = key.seal(secret, binding());
    auto other = binding();
    other.id.back() = '2';
    EXPECT_EQ(open_code(key, blob, other), "credential.tampered") << "moved to another credential";
    other = binding();
    other.version = 4;
    EXPECT_EQ(open_code(key, blob, other), "credential.tampered") << "an old version under a new number";
    other = binding();
    other.kind = "http";
    EXPECT_EQ(open_code(key, blob, other), "credential.tampered");
    for (const std::vector<std::string>& hosts :
         {std::vector<std::string>{"a:2", "b:1", "evil"}, {"a:2"}, {}, {"a:2b:1"}, {"a:2", "b:2"}}) {
        other = binding();
        other.allowed_hosts = hosts;
        EXPECT_EQ(open_code(key, blob, other), "credential.tampered") << "hosts changed";
    }
}

TEST(Envelope, EveryFlippedByteIsFound) {
    const auto key = MasterKey::random();
    const auto blob = key.seal(secret, binding());
    for (std::size_t i = 0; i < blob.size(); ++i) {
        auto bad = blob;
        bad[i] = static_cast<char>(bad[i] ^ 1);
        const auto code = open_code(key, bad, binding());
        EXPECT_EQ(code, i >= 2 && i < 10 ? "credential.key_wrong" : "credential.tampered") << i;
    }
    for (std::size_t size = 0; size < blob.size(); ++size) {
        EXPECT_EQ(open_code(key, std::string_view(blob).substr(0, size), binding()), "credential.tampered") << size;
    }
}

TEST(Envelope, PartsOfTwoBlobsDoNotFit) {
    const auto key = MasterKey::random();
    const auto one = key.seal(secret, binding());
    const auto two = key.seal(Secret("other"), binding());
    EXPECT_EQ(open_code(key, one.substr(0, 82) + two.substr(82), binding()), "credential.tampered");
}

TEST(Envelope, AnotherKeyIsNamedAsSuch) {
    const auto key = MasterKey::random();
    const auto other = MasterKey::random();
    EXPECT_EQ(open_code(other, key.seal(secret, binding()), binding()), "credential.key_wrong");
    EXPECT_NE(key.check_value(), other.check_value());
    EXPECT_EQ(key.check_value(), MasterKey::from_bytes(key.bytes().reveal()).check_value());
    EXPECT_EQ(key.id().size(), 8u);
    EXPECT_EQ(key.bytes().reveal().find(key.id()), std::string::npos);
}

TEST(Envelope, RewrapMovesToAnotherKeyAndKeepsTheBinding) {
    const auto key = MasterKey::random();
    const auto next = MasterKey::random();
    const auto moved = key.rewrap(key.seal(secret, binding()), binding(), next);
    EXPECT_EQ(next.open(moved, binding()).reveal(), secret.reveal());
    EXPECT_EQ(open_code(key, moved, binding()), "credential.key_wrong");
    auto wider = binding();
    wider.allowed_hosts.push_back("evil");
    EXPECT_EQ(open_code(next, moved, wider), "credential.tampered");
}

TEST(Envelope, BadKeysAreRefused) {
    for (const auto& bytes : {std::string(), std::string(31, 'x'), std::string(33, 'x'), std::string(32, '\0')}) {
        EXPECT_EQ(code_of([&] { MasterKey::from_bytes(bytes); }), "credential.key_wrong") << bytes.size();
    }
}

class KeyFile : public testing::Test {
protected:
    void SetUp() override { fs::create_directories(folder_); }

    void TearDown() override { fs::remove_all(folder_); }

    std::string load_code() {
        return code_of([&] { load_key_file(path_); });
    }

    void write(const std::string& text, mode_t mode = 0600) {
        fs::remove(path_);
        std::ofstream(path_) << text;
        ::chmod(path_.c_str(), mode);
    }

    fs::path folder_ = fs::temp_directory_path() / ("headrace-key-" + make_uuid_v4());
    std::string path_ = (folder_ / "key").string();
};

TEST_F(KeyFile, IsMadeOnceAndReadBack) {
    const auto key = create_key_file(path_);
    EXPECT_EQ(load_key_file(path_).check_value(), key.check_value());

    struct stat about {};

    ASSERT_EQ(::stat(path_.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777u, 0600u);
    EXPECT_EQ(code_of([&] { create_key_file(path_); }), "config.invalid") << "never overwritten";
    EXPECT_EQ(load_key_file(path_).check_value(), key.check_value());
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "no half file stays";
}

TEST_F(KeyFile, OthersMustNotReadIt) {
    const auto line = base64_encode(MasterKey::random().bytes().reveal()) + "\n";
    for (const mode_t mode : {0600u, 0400u}) {
        write(line, mode);
        EXPECT_EQ(load_code(), "") << mode;
    }
    for (const mode_t mode : {0640u, 0604u, 0644u, 0660u, 0700u}) {
        write(line, mode);
        EXPECT_EQ(load_code(), "credential.key_wrong") << mode;
    }
}

TEST_F(KeyFile, BadContentAndNoFile) {
    EXPECT_EQ(load_code(), "credential.key_missing");
    for (const auto& text :
         {std::string(), std::string("hunter2"), base64_encode(std::string(16, 'x')), std::string(5000, 'A')}) {
        write(text);
        EXPECT_EQ(load_code(), "credential.key_wrong") << text.size();
    }
    fs::remove(path_);
    fs::create_directory(path_);
    EXPECT_EQ(load_code(), "credential.key_wrong");
}

}  // namespace
}  // namespace headrace::credential
