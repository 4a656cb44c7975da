#include "pair_settings.h"

#include <vector>

#include "error.h"
#include "lammps.h"
#include "pointers.h"
#include "utils.h"

using namespace LAMMPS_NS;

namespace mhdnn {
namespace {

class Reader : protected Pointers {
public:
    Reader(LAMMPS* lmp, int narg, char** arg) : Pointers(lmp), narg_(narg), arg_(arg) {}

    PairSettings read() {
        PairSettings result;
        while (at_ < narg_) read_keyword(result);
        if (result.accuracy != 0.0 && !(result.accuracy > 1e-14 && result.accuracy < 1e-2))
            error->all(
                FLERR, "pair_style mhdnn accuracy: expected a number between 1e-14 and 1e-2, got {}", result.accuracy);
        if (result.grade_limit > 0.0 && !result.with_grade)
            error->all(FLERR, "pair_style mhdnn grade_limit: needs the grades; leave out `grade off`");
        return result;
    }

private:
    void read_keyword(PairSettings& result) {
        const std::string keyword = arg_[at_++];
        if (keyword == "device")
            result.device = value(keyword);
        else if (keyword == "dtype")
            result.dtype = one_of(keyword, {"model", "float32", "float64"});
        else if (keyword == "extrapolation")
            result.extrapolation = one_of(keyword, {"warn", "off", "stop"});
        else if (keyword == "solver")
            result.solver = one_of(keyword, {"auto", "dense", "iterative"});
        else if (keyword == "total_charge")
            result.total_charge = number(keyword);
        else if (keyword == "accuracy")
            result.accuracy = number(keyword);
        else if (keyword == "grade")
            result.with_grade = one_of(keyword, {"on", "off"}) == "on";
        else if (keyword == "grade_limit")
            read_limit(keyword, result);
        else if (keyword == "efield")
            result.field = {number(keyword), number(keyword), number(keyword)};
        else
            error->all(
                FLERR,
                "pair_style mhdnn: unknown keyword {}; expected device, dtype, extrapolation, solver, "
                "total_charge, accuracy, efield, grade or grade_limit",
                keyword);
    }

    void read_limit(const std::string& keyword, PairSettings& result) {
        result.grade_limit = number(keyword);
        if (!(result.grade_limit > 0.0))
            error->all(
                FLERR, "pair_style mhdnn {}: expected a positive number in eV/A, got {}", keyword, result.grade_limit);
        result.grade_action = one_of(keyword, {"warn", "stop", "dump"});
        if (result.grade_action == "dump") result.grade_file = value(keyword);
    }

    std::string value(const std::string& keyword) {
        if (at_ == narg_) error->all(FLERR, "pair_style mhdnn {}: a value is missing", keyword);
        return arg_[at_++];
    }

    double number(const std::string& keyword) { return utils::numeric(FLERR, value(keyword), false, lmp); }

    std::string one_of(const std::string& keyword, const std::vector<std::string>& known) {
        const std::string found = value(keyword);
        for (const auto& name : known)
            if (found == name) return found;
        error->all(FLERR, "pair_style mhdnn {}: expected {}, got {}", keyword, utils::join_words(known, " or "), found);
        return found;
    }

    int narg_, at_ = 0;
    char** arg_;
};

}  // namespace

SolverChoice PairSettings::solver_choice() const {
    if (solver == "dense") return SolverChoice::dense;
    return solver == "iterative" ? SolverChoice::iterative : SolverChoice::automatic;
}

void PairSettings::refuse_charges(LAMMPS* lmp) const {
    if (total_charge == 0.0 && !has_field()) return;
    lmp->error->all(
        FLERR,
        "pair_style mhdnn {}: the model has no charges, and its energies don't depend on it; remove "
        "it, or train a model with `charges=equilibration`",
        total_charge != 0.0 ? "total_charge" : "efield");
}

PairSettings read_settings(LAMMPS* lmp, int narg, char** arg) { return Reader(lmp, narg, arg).read(); }

}  // namespace mhdnn
