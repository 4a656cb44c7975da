// The plain weights of a model file: what mhdnn/deploy/plain_weights.py writes, by name.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace mhdnn {

class Weights {
public:
    // From the two records of an archive. Errors are std::runtime_error with a sentence for the user, which lacks the
    // name of the file.
    Weights(const std::string& text, std::string numbers);

    bool has(const std::string& name) const { return arrays_.count(name) != 0 || texts_.count(name) != 0; }
    const std::string& text(const std::string& name) const;
    std::vector<std::string> words(const std::string& name) const;
    // Of an array with so many axes.
    std::vector<int> shape(const std::string& name, std::size_t num_axes) const;
    double number(const std::string& name) const;
    int integer(const std::string& name, int lowest, int highest = std::numeric_limits<int>::max()) const;
    std::vector<std::int64_t> integers(const std::string& name) const;
    // Integers that are at least 0 and below a limit.
    std::vector<std::int64_t> indices(const std::string& name, std::int64_t limit) const;
    // Floating-point numbers in another precision; they are finite.
    template <class T>
    std::vector<T> numbers(const std::string& name) const;
    // The same, of which a certain number is needed.
    template <class T>
    std::vector<T> numbers(const std::string& name, std::size_t size) const;
    // The same that are above zero.
    std::vector<double> positive(const std::string& name, std::size_t size = 1) const;
    // Limits, which may be infinite.
    std::vector<double> limits(const std::string& name, std::size_t size) const;
    // Ends with a sentence on one of the names.
    [[noreturn]] void refuse(const std::string& name, const std::string& why) const;

private:
    enum class Type { float32, float64, int64 };
    struct Array {
        Type type;
        std::uint64_t offset;
        std::vector<int> shape;

        std::size_t size() const;
    };
    void add_array(const std::string& name, const std::string& description);
    const Array& array(const std::string& name) const;
    template <class Stored, class T>
    std::vector<T> converted(const Array&) const;
    template <class T>
    std::vector<T> any_numbers(const std::string& name) const;
    void check_size(const std::string& name, std::size_t found, std::size_t expected) const;
    [[noreturn]] void fail(const std::string& what) const;

    std::string numbers_;
    std::map<std::string, std::string> texts_;
    std::map<std::string, Array> arrays_;
};

// The two records of a model file, verified, from its content. Errors name the file.
struct WeightRecords {
    std::string text, numbers;
};
WeightRecords read_weights(const std::string& archive, const std::string& path);

}  // namespace mhdnn
