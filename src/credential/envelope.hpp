// Envelope encryption of one secret, and the master key that opens all of them. Pure but for the key file; thread-safe.
//
//   blob = "v1" | kek_id (8) | dek_nonce (24) | wrapped_dek (32 + 16) | nonce (24) | ciphertext + tag (16)
//
// A fresh data key (DEK) per version seals the secret; the master key (KEK) seals the data key. Both by
// XChaCha20-Poly1305 with random nonces. The associated data, each field with its length before it, ties the blob to
// its place:
//   secret: "etl-cred" | "1" | credential id | version | kind | SHA-256 of the sorted allowed hosts
//   DEK:    "etl-dek" | kek_id | credential id | version
// so that somebody who can write the table but has no key can neither move a blob to another credential, nor bring an
// old version back under a new number, nor send the secret to another host.
#pragma once

#include "base/secret.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace headrace::credential {

// What a blob belongs to.
struct Binding {
    std::string id;  // of the credential
    int version = 0;
    std::string kind;
    std::vector<std::string> allowed_hosts;  // in any order
};

// The master key: exactly 32 bytes. Copies are zeroed when they go.
class MasterKey {
public:
    static MasterKey random();
    // 32 bytes, not all alike; anything else throws credential.key_wrong.
    static MasterKey from_bytes(std::string_view bytes);

    const std::string& id() const { return id_; }  // 8 bytes: the first of BLAKE2b(key); they say nothing about the key

    std::string check_value() const;  // 32 bytes; only this key makes it

    const Secret& bytes() const { return bytes_; }  // for the envelope and the key file only

    std::string seal(const Secret& secret, const Binding& binding) const;
    // Throws credential.key_wrong when another key sealed it, credential.tampered when it does not verify.
    Secret open(std::string_view blob, const Binding& binding) const;
    // The same secret under another master key; the secret itself is not decrypted. Throws as open().
    std::string rewrap(std::string_view blob, const Binding& binding, const MasterKey& next) const;

private:
    explicit MasterKey(Secret bytes);

    Secret bytes_;
    std::string id_;
};

// Reads a key file: one line, 32 bytes in base64. Refused unless it is a regular file of this user (or root) that
// nobody else may read: mode 0600 or 0400. Throws credential.key_missing (no such file) or credential.key_wrong (all
// else).
MasterKey load_key_file(const std::string& path);

// Makes a new key and its file (mode 0600, never half written). Throws config.invalid when the file exists.
MasterKey create_key_file(const std::string& path);

// The kek_id of a blob (8 bytes), or "" when it is none.
std::string key_id_of(std::string_view blob);

}  // namespace headrace::credential
