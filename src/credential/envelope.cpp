#include "credential/envelope.hpp"

#include "base/encoding.hpp"
#include "base/error.hpp"

#include <fmt/core.h>
#include <sodium.h>

#include <algorithm>

namespace headrace::credential {
namespace {

constexpr std::string_view magic = "v1";
constexpr std::size_t key_bytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t id_bytes = 8;
constexpr std::size_t wrapped_bytes = key_bytes + tag_bytes;
constexpr std::size_t header_bytes = magic.size() + id_bytes + nonce_bytes + wrapped_bytes + nonce_bytes;
static_assert(key_bytes == 32 && nonce_bytes == 24 && tag_bytes == 16);

unsigned char* bytes_of(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

void need_sodium() {
    if (sodium_init() < 0) {
        throw Error(ErrorKind::bug, "internal.bug", "libsodium does not start");
    }
}

std::string random_text(std::size_t count) {
    std::string out(count, '\0');
    randombytes_buf(out.data(), out.size());
    return out;
}

void add_field(std::string& out, std::string_view field) {
    const auto size = static_cast<std::uint32_t>(field.size());
    for (int shift = 0; shift < 32; shift += 8) {
        out += static_cast<char>(size >> shift & 0xFF);
    }
    out += field;
}

std::string hash_hosts(std::vector<std::string> hosts) {
    std::sort(hosts.begin(), hosts.end());
    std::string all;
    for (const auto& host : hosts) {
        add_field(all, host);
    }
    std::string out(crypto_hash_sha256_BYTES, '\0');
    crypto_hash_sha256(bytes_of(out), bytes_of(std::string_view(all)), all.size());
    return out;
}

std::string secret_data(const Binding& binding) {
    std::string out;
    add_field(out, "etl-cred");
    add_field(out, "1");
    add_field(out, binding.id);
    add_field(out, std::to_string(binding.version));
    add_field(out, binding.kind);
    add_field(out, hash_hosts(binding.allowed_hosts));
    return out;
}

std::string dek_data(const std::string& kek_id, const Binding& binding) {
    std::string out;
    add_field(out, "etl-dek");
    add_field(out, kek_id);
    add_field(out, binding.id);
    add_field(out, std::to_string(binding.version));
    return out;
}

std::string encrypt(const Secret& key, std::string_view nonce, std::string_view data, std::string_view plain) {
    std::string out(plain.size() + tag_bytes, '\0');
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        bytes_of(out),
        nullptr,
        bytes_of(plain),
        plain.size(),
        bytes_of(data),
        data.size(),
        nullptr,
        bytes_of(nonce),
        bytes_of(std::string_view(key.reveal()))
    );
    return out;
}

[[noreturn]] void tampered() {
    throw Error(ErrorKind::permanent, "credential.tampered", "the stored secret does not belong to this row");
}

Secret decrypt(const Secret& key, std::string_view nonce, std::string_view data, std::string_view sealed) {
    std::string out(sealed.size() - tag_bytes, '\0');
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            bytes_of(out),
            nullptr,
            nullptr,
            bytes_of(sealed),
            sealed.size(),
            bytes_of(data),
            data.size(),
            bytes_of(nonce),
            bytes_of(std::string_view(key.reveal()))
        ) != 0) {
        tampered();
    }
    Secret secret(out);
    sodium_memzero(out.data(), out.size());
    return secret;
}

// The parts of a blob, pointing into it.
struct Parts {
    std::string_view kek_id;
    std::string_view dek_nonce;
    std::string_view wrapped_dek;
    std::string_view rest;  // nonce, ciphertext and tag
};

Parts split(const MasterKey& key, std::string_view blob) {
    if (blob.size() < header_bytes + tag_bytes || !blob.starts_with(magic)) {
        tampered();
    }
    Parts parts;
    auto take = [&blob](std::size_t count) {
        const auto part = blob.substr(0, count);
        blob.remove_prefix(count);
        return part;
    };
    take(magic.size());
    parts.kek_id = take(id_bytes);
    parts.dek_nonce = take(nonce_bytes);
    parts.wrapped_dek = take(wrapped_bytes);
    parts.rest = blob;
    if (parts.kek_id != key.id()) {
        throw Error(
            ErrorKind::permanent,
            "credential.key_wrong",
            fmt::format(
                "the secret was stored with the master key {}, this is {}",
                hex_encode(parts.kek_id),
                hex_encode(key.id())
            )
        );
    }
    return parts;
}

std::string wrap(const MasterKey& key, const Binding& binding, const Secret& dek) {
    const auto nonce = random_text(nonce_bytes);
    return std::string(magic) + key.id() + nonce +
           encrypt(key.bytes(), nonce, dek_data(key.id(), binding), dek.reveal());
}

Secret unwrap(const MasterKey& key, const Binding& binding, const Parts& parts) {
    return decrypt(key.bytes(), parts.dek_nonce, dek_data(key.id(), binding), parts.wrapped_dek);
}

}  // namespace

MasterKey::MasterKey(Secret bytes) : bytes_(std::move(bytes)) {
    need_sodium();
    std::string hash(crypto_generichash_BYTES, '\0');
    const std::string_view key = bytes_.reveal();
    crypto_generichash(bytes_of(hash), hash.size(), bytes_of(key), key.size(), nullptr, 0);
    id_ = hash.substr(0, id_bytes);
}

MasterKey MasterKey::random() {
    need_sodium();
    return MasterKey(Secret(random_text(key_bytes)));
}

MasterKey MasterKey::from_bytes(std::string_view bytes) {
    if (bytes.size() != key_bytes || bytes.find_first_not_of(bytes.front()) == std::string_view::npos) {
        throw Error(ErrorKind::invalid, "credential.key_wrong", "a master key is 32 random bytes");
    }
    return MasterKey(Secret(std::string(bytes)));
}

std::string MasterKey::check_value() const {
    const std::string text = "etl-check|" + hex_encode(id_);
    std::string out(crypto_generichash_BYTES, '\0');
    const std::string_view key = bytes_.reveal();
    crypto_generichash(
        bytes_of(out), out.size(), bytes_of(std::string_view(text)), text.size(), bytes_of(key), key.size()
    );
    return out;
}

std::string MasterKey::seal(const Secret& secret, const Binding& binding) const {
    const Secret dek(random_text(key_bytes));
    const auto nonce = random_text(nonce_bytes);
    return wrap(*this, binding, dek) + nonce + encrypt(dek, nonce, secret_data(binding), secret.reveal());
}

Secret MasterKey::open(std::string_view blob, const Binding& binding) const {
    const auto parts = split(*this, blob);
    const auto dek = unwrap(*this, binding, parts);
    return decrypt(dek, parts.rest.substr(0, nonce_bytes), secret_data(binding), parts.rest.substr(nonce_bytes));
}

std::string MasterKey::rewrap(std::string_view blob, const Binding& binding, const MasterKey& next) const {
    const auto parts = split(*this, blob);
    return wrap(next, binding, unwrap(*this, binding, parts)) + std::string(parts.rest);
}

std::string key_id_of(std::string_view blob) {
    const bool is_blob = blob.size() >= header_bytes + tag_bytes && blob.starts_with(magic);
    return is_blob ? std::string(blob.substr(magic.size(), id_bytes)) : std::string();
}

}  // namespace headrace::credential
