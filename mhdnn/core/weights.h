// The plain weights of a model file: what mhdnn/deploy/plain_weights.py writes, by name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mhdnn {

class Weights {
public:
    // From the two records of an archive; path is for messages. Errors are std::runtime_error with a sentence for the
    // user.
    Weights(const std::string& text, std::string numbers, std::string path);

    bool has(const std::string& name) const { return arrays_.count(name) != 0 || texts_.count(name) != 0; }
    const std::string& text(const std::string& name) const;
    std::vector<std::string> words(const std::string& name) const;
    // Of an array with so many axes.
    std::vector<std::int64_t> shape(const std::string& name, std::size_t num_axes) const;
    double number(const std::string& name) const;
    int integer(const std::string& name) const;
    std::vector<std::int64_t> integers(const std::string& name) const;
    // Integers that are at least 0 and below a limit.
    std::vector<std::int64_t> indices(const std::string& name, std::int64_t limit) const;
    int integer(const std::string& name, int lowest, int highest) const;
    // Floating-point numbers in another precision.
    template <class T>
    std::vector<T> numbers(const std::string& name) const;
    // The same, of which a certain number is needed.
    template <class T>
    std::vector<T> numbers(const std::string& name, std::size_t size) const;
    // Ends with a sentence on one of the names.
    [[noreturn]] void refuse(const std::string& name, const std::string& why) const;

private:
    enum class Type { float32, float64, int64 };
    struct Array {
        Type type;
        std::uint64_t offset;
        std::vector<std::int64_t> shape;

        std::size_t size() const;
    };
    void add_array(const std::string& name, const std::string& description);
    const Array& array(const std::string& name) const;
    template <class Stored, class T>
    std::vector<T> converted(const Array&) const;
    [[noreturn]] void fail(const std::string& what) const;

    std::string numbers_, path_;
    std::map<std::string, std::string> texts_;
    std::map<std::string, Array> arrays_;
};

// Those of a model file that has been read and verified.
Weights read_weights(const std::string& path);

}  // namespace mhdnn
